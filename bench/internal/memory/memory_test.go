package memory

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMemory(t *testing.T) {
	const size = 16 << 20
	debug.FreeOSMemory()
	live, resident := Live(), Resident()
	block, garbage := filled(size), filled(size)
	switch now, peak := Resident(), Peak(); {
	case runtime.GOOS != "linux":
	case resident == 0 || now < resident+size*3/2:
		t.Errorf("resident memory was %d and is %d, with %d bytes more", resident, now, 2*size)
	case peak < now || peak > now+size:
		t.Errorf("the peak is %d, with %d resident", peak, now)
	}
	garbage[0]++ // until now it is none
	if grown := Live() - live; grown < size-size/8 || grown > size+size/8 {
		t.Errorf("the live objects have grown by %d, want about %d", grown, size)
	}
	runtime.KeepAlive(block)
}

// filled returns a slice whose pages have been written to: before that they are not resident.
func filled(size int) []byte {
	block := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		block[i] = 1
	}
	return block
}
