//go:build unix

// Package cpu measures the processor time of this process.
package cpu

import (
	"syscall"
	"time"
)

// Time returns the processor time that this process has used.
func Time() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
