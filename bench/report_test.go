package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sampleComparison has two rounds, the second on a busy machine.
func sampleComparison() *comparison {
	f := &comparison{Command: "go run . -quick=true", Scale: "full", Rounds: 2, Machine: machine{CPU: "a processor", Cores: 2, OS: "an OS", Go: "go1.x"}}
	for round, slowness := range []float64{1, 3} {
		for _, r := range []struct {
			contender, table, column string
			value                    float64
		}{
			{"aws", "one", "1 key", 60}, // caches one token, and comes first
			{"roomtoken", "one", "1 key", 40},
			{"roomtoken", "one", "1,000 keys", 1000},
			{referenceFloor, "one", "1 key", 30},
			{referenceFloor, "one", "1,000 keys", 500},
			{"roomtoken", "cold", "source calls", 1},
			{"aws", "cold", "source calls", 1234},
		} {
			value := r.value
			if r.table == "one" {
				value *= slowness
			}
			f.Results = append(f.Results, result{round, r.contender, measurement{r.table, r.column, value}})
		}
	}
	return f
}

func TestTables(t *testing.T) {
	const want = `## Hit, one goroutine, ns

Keys in random order; reads are independent of each other.

|  | 1 key | 1,000 keys |
|---|---:|---:|
| **roomtoken** | 80 (1.33 / 1.00) | 2,000 (2.00 / 1.00) |
| aws | 120 (2.00 / 1.50) |  |
| floor: sync.Map + time.Since | 60 (1.00 / 0.75) | 1,000 (1.00 / 0.50) |

## 10,000 callers on a cold key

All callers ask before the source answers. Ideal: one call, and all callers return soon after the answer.

![10,000 callers on a cold key](cold.svg)

|  | source calls |
|---|---:|
| **roomtoken** | 1 |
| aws | 1,234 |

`
	if got := sampleComparison().tables(map[string]string{"cold": "cold.svg"}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSummary(t *testing.T) {
	const want = `|  | hit, 1 key | hit, 1,000 keys |
|---|---:|---:|
| **roomtoken** | 80 ns | 2,000 ns |
| aws | 120 ns |  |
| floor: sync.Map + time.Since | 60 ns | 1,000 ns |

|  | cold key: source calls |
|---|---:|
| **roomtoken** | 1 |
| aws | 1,234 |
`
	if got := sampleComparison().summary(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := (&comparison{}).summary(); got != "" {
		t.Errorf("without results: %q", got)
	}
}

// The published page has the summary of the published values.
func TestPublishedSummary(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(published, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	summary := publishedResults(t).summary()
	if !strings.Contains(string(page), "\n\n"+summary+"\n") {
		t.Errorf("the page lacks\n%s", summary)
	}
	for line := range strings.Lines(summary) {
		if columns := strings.Count(line, "|") - 1; columns > 6 {
			t.Errorf("%d columns are too many for a phone: %s", columns, line)
		}
	}
}

func TestBetterPeers(t *testing.T) {
	f := sampleComparison()
	if got := f.betterPeers(); got != "" {
		t.Errorf("no peer is better, got\n%s", got)
	}
	for round, value := range []float64{100, 110} {
		f.Results = append(f.Results,
			result{round, "roomtoken", measurement{"heap", "9 keys", value}},
			result{round, "otter", measurement{"heap", "9 keys", value / 2}},
			result{round, "xsync", measurement{"heap", "9 keys", 1}}, // a floor
			result{round, "roomtoken", measurement{"all", "9 keys", 20}},
			result{round, "otter", measurement{"all", "9 keys", 20.5}}, // not noticeable
			result{round, "sturdyc", measurement{"all", "9 keys", 30}})
	}
	got := f.betterPeers()
	for _, want := range []string{
		"- Hits on all cores, millions per second: sturdyc 30, roomtoken 20 (9 keys). A hit among",
		"- Heap per key, bytes: otter 52.5, roomtoken 105 (9 keys). roomtoken also stores",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestPage(t *testing.T) {
	f := sampleComparison()
	page := f.page(nil)
	for _, want := range []string{
		"Written by `go run . -quick=true` in `bench`", "medians over 2 rounds", "differ by 100 %",
		"| processor | a processor, 2 cores |", "| Go | go1.x |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in the page:\n%s", want, page)
		}
	}
	const warning = "not how fast"
	if strings.Contains(page, warning) {
		t.Error("a full run has the warning about small sizes")
	}
	f.Scale, f.Rounds = "quick", 1
	if page := f.page(nil); !strings.Contains(page, warning) || !strings.Contains(page, "only one round") {
		t.Error("a quick run lacks the warning")
	}
}

func TestWrap(t *testing.T) {
	word := strings.Repeat("x", 59)
	for in, want := range map[string]string{
		"":                       "\n",
		word + " " + word + "x":  word + " " + word + "x\n",
		word + " " + word + "xx": word + "\n" + word + "xx\n",
		"- " + word + " " + word: "- " + word + "\n  " + word + "\n",
		word + " " + word + " " + word + " a b c": word + " " + word + "\n" + word + " a b c\n",
	} {
		if got := wrap(in); got != want {
			t.Errorf("wrap(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0001: "0", -0.001: "0", 1: "1", 0.25: "0.25", 9.994: "9.99", 9.996: "10.0", 41.66: "41.7", 99.96: "100", 1234.5: "1,235", 2e6: "2,000,000",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0.05: "0.05", 1: "1.00", 9.94: "9.94", 9.96: "10", 123: "123"} {
		if got := ratio(v); got != want {
			t.Errorf("ratio(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestMachine(t *testing.T) {
	m := thisMachine()
	if m.CPU == "" || m.Cores < 1 || !strings.Contains(m.OS, "/") || !strings.HasPrefix(m.Go, "go") || len(m.Date) != len("2006-01-02") {
		t.Errorf("incomplete: %+v", m)
	}
	if got := valueOf("no such file", "a", "="); got != "" {
		t.Errorf("a missing file has %q", got)
	}
}
