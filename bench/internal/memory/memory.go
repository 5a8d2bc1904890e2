// Package memory measures the memory of this process.
package memory

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
)

// Live returns the size of the live objects on the heap, in bytes. It collects garbage.
func Live() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// Resident returns the resident memory in bytes; 0 if that is not known, as anywhere but on
// Linux.
func Resident() uint64 { return status("VmRSS:") }

// Peak returns the largest resident memory so far, in bytes; 0 if that is not known, as
// anywhere but on Linux.
func Peak() uint64 { return status("VmHWM:") }

// status returns a size from proc_pid_status(5).
func status(name string) uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == name && string(fields[2]) == "kB" {
			kib, _ := strconv.ParseUint(string(fields[1]), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// MB returns bytes as megabytes.
func MB(bytes uint64) float64 { return float64(bytes) / 1e6 }
