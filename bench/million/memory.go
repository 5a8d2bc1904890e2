package main

import "runtime"

// heap returns the size of the live objects.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func mb(bytes uint64) float64 { return float64(bytes) / 1e6 }
