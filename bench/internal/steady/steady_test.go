package steady

import (
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestSource(t *testing.T) {
	s := Source{
		Lifetime:     For(1000, 10), // each room every 100 s
		Token:        func(room string, issued, expires time.Time) string { return room + "/" + expires.Sub(issued).String() },
		RefreshToken: func(room string, _, _ time.Time) string { return room + " refresh" },
	}
	if mean := RenewedAt * s.Lifetime.Seconds(); mean < 99.9 || mean > 100.1 {
		t.Errorf("tokens of %v are renewed after %.1f s, want 100", s.Lifetime, mean)
	}
	begun := time.Now()
	var ages [4]int // by quarter of the time until the renewal
	for range 1000 {
		g, err := s.Create(t.Context(), "a")
		if err != nil || !g.Token.ExpiresAt.Equal(g.IssuedAt.Add(s.Lifetime)) || g.Token.Value.Reveal() != "a/"+s.Lifetime.String() {
			t.Fatalf("Create returns %+v, %v", g, err)
		}
		age := begun.Sub(g.IssuedAt).Seconds() / 100
		ages[min(max(int(4*age), 0), 3)]++
		if age > 1.1 || g.RefreshToken.Value.Reveal() != "a refresh" {
			t.Fatalf("the first token is %.2f of its time old, its refresh token is %v", age, g.RefreshToken)
		}
	}
	for i, n := range ages {
		if n < 150 {
			t.Errorf("%d of 1,000 tokens are in quarter %d of their time", n, i)
		}
	}
	g, err := s.Refresh(t.Context(), "a", roomtoken.Token{})
	if err != nil || g.IssuedAt.Before(begun) || !g.RefreshToken.IsZero() {
		t.Errorf("Refresh returns %+v, %v", g, err)
	}
}
