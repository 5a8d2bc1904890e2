//go:build !unix

// Package cpu tells how much processor time the process has used.
package cpu

import "time"

// Time is not known on this system.
func Time() time.Duration { return 0 }
