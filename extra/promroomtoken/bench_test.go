package promroomtoken_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/promroomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// A scrape costs the same however many rooms there are.
func BenchmarkScrape(b *testing.B) {
	for _, rooms := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("rooms=%d", rooms), func(b *testing.B) {
			manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer manager.Close()
			for i := range rooms {
				if _, err := manager.Token(b.Context(), fmt.Sprint(i)); err != nil {
					b.Fatal(err)
				}
			}
			registry := prometheus.NewRegistry()
			registry.MustRegister(promroomtoken.NewCollector(manager))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := registry.Gather(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
