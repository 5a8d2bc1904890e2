package memory

import (
	"runtime"
	"testing"
)

func TestMemory(t *testing.T) {
	const size = 64 << 20
	live, resident := Live(), Resident()
	block := make([]byte, size)
	for i := range block {
		block[i] = 1 // until it is written to, it is not resident
	}
	if grown := Live() - live; grown < size || grown > size+size/8 {
		t.Errorf("the live objects have grown by %d, want about %d", grown, size)
	}
	switch now, peak := Resident(), Peak(); {
	case runtime.GOOS != "linux":
		t.Skip("resident memory is measured on Linux only")
	case resident == 0 || now < resident+size/2:
		t.Errorf("resident memory was %d and is %d, with %d bytes more", resident, now, size)
	case peak < now:
		t.Errorf("the peak of %d is below %d", peak, now)
	}
	runtime.KeepAlive(block)
}
