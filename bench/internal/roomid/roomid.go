// Package roomid generates room IDs.
package roomid

import (
	"fmt"
	"math/rand/v2"
)

// New returns n room IDs in the format of Telnyx. They are the same on each call.
func New(n int) []string {
	rng := rand.New(rand.NewPCG(1, 1))
	ids := make([]string, n)
	for i := range ids {
		a, b := rng.Uint64(), rng.Uint64()
		ids[i] = fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", uint32(a), uint16(a>>32), uint16(a>>48), uint16(b), b>>16)
	}
	return ids
}
