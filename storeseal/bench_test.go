package storeseal_test

import (
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken"
)

// A record of two tokens of 630 bytes, as those of Telnyx are.
func BenchmarkSealer(b *testing.B) {
	r := full()
	r.Token = roomtoken.NewSecret(strings.Repeat("a", 630))
	r.RefreshToken = roomtoken.NewSecret(strings.Repeat("b", 630))
	for kind, s := range sealers(b) {
		sealed := seal(b, s, "lobby", r)
		b.Run("Open/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Open("lobby", sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("Seal/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Seal("lobby", r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
