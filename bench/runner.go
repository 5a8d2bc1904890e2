package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// childCommand is the first argument of a process that runs one job. The others are
// the names of the work, the contender and the scale. The process prints its
// measurements as JSON.
const childCommand = "child"

// jobTimeout limits the duration of a job.
const jobTimeout = 5 * time.Minute

// result is a measurement of a contender.
type result struct {
	Round     int    `json:"round"`
	Contender string `json:"contender"`
	measurement
}

// comparison is the result of a run.
type comparison struct {
	Command string   `json:"command"`
	Scale   string   `json:"scale"`
	Rounds  int      `json:"rounds"`
	Machine machine  `json:"machine"`
	Results []result `json:"results"`
}

// compare runs all jobs round by round, each in a separate process.
func compare(ctx context.Context, o options, progress io.Writer) (*comparison, error) {
	found := &comparison{Command: o.command, Scale: o.scale, Machine: thisMachine()}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	begin, longest := time.Now(), time.Duration(0)
	for round := range o.rounds {
		roundBegin := time.Now()
		if o.within > 0 && round > 0 && time.Since(begin)+longest > o.within {
			fmt.Fprintf(progress, "not enough time left for round %d within %v\n", round+1, o.within)
			break
		}
		for _, w := range o.works {
			for turn := range o.contenders {
				// Another contender begins in each round.
				c := o.contenders[(turn+round)%len(o.contenders)]
				if !w.applies(c) {
					continue
				}
				jobBegin := time.Now()
				measured, err := spawn(ctx, self, w.name, c.name, o.scale)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", w.name, c.name, err)
				}
				for _, m := range measured {
					found.Results = append(found.Results, result{round, c.name, m})
				}
				fmt.Fprintf(progress, "round %d of %d: %-5s %-22s %5.1fs\n", round+1, o.rounds, w.name, c.name, time.Since(jobBegin).Seconds())
			}
		}
		found.Rounds++
		longest = max(longest, time.Since(roundBegin))
	}
	if len(found.Results) == 0 {
		return nil, errors.New("no selected contender supports any selected work")
	}
	return found, nil
}

// spawn runs a job in a separate process.
func spawn(ctx context.Context, self, workName, contenderName, scaleName string) ([]measurement, error) {
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, childCommand, workName, contenderName, scaleName) //nolint:gosec // this program
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var found []measurement
	if err := json.Unmarshal(out, &found); err != nil {
		return nil, fmt.Errorf("parsing the output of a job: %w", err)
	}
	return found, nil
}

// runChild runs one job and prints its measurements.
func runChild(args []string, stdout io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("%s: got arguments %q, want a work, a contender and a scale", childCommand, args)
	}
	c, err := find(args[1])
	if err != nil {
		return err
	}
	s, ok := scales[args[2]]
	if !ok {
		return fmt.Errorf("unknown scale %q", args[2])
	}
	for _, w := range works {
		if w.name != args[0] {
			continue
		}
		found, err := do(w, c, s)
		if err != nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(found)
	}
	return fmt.Errorf("unknown work %q", args[0])
}
