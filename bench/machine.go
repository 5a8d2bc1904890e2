package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// machine describes where a comparison ran.
type machine struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	OS       string            `json:"os"`
	Go       string            `json:"go"`
	Date     string            `json:"date"`
	Versions map[string]string `json:"versions"` // by module
}

func thisMachine() machine {
	m := machine{
		CPU:      valueOf("/proc/cpuinfo", "model name", ":"),
		Cores:    runtime.GOMAXPROCS(0),
		OS:       valueOf("/etc/os-release", "PRETTY_NAME", "="),
		Go:       runtime.Version(),
		Date:     time.Now().UTC().Format(time.DateOnly),
		Versions: map[string]string{},
	}
	if m.CPU == "" {
		m.CPU = runtime.GOARCH
	}
	if m.OS == "" {
		m.OS = runtime.GOOS
	}
	m.OS += " (" + runtime.GOOS + "/" + runtime.GOARCH + ")"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return m
	}
	for _, dep := range info.Deps {
		for _, c := range contenders {
			if c.module == dep.Path && c.kind != us { // ours has no version
				m.Versions[dep.Path] = dep.Version
			}
		}
	}
	return m
}

// valueOf returns the value that a file assigns to name, or "".
func valueOf(file, name, separator string) string {
	data, err := os.ReadFile(file) //nolint:gosec // two fixed names
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(line, separator)
		if ok && strings.TrimSpace(key) == name {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}
