package promroomtoken_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/promroomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// A service registers the collector once, and serves its metrics.
func ExampleNewCollector() {
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(promroomtoken.NewCollector(manager))
	http.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	_, _ = manager.Token(context.Background(), "lobby")
	families, err := registry.Gather() // what a scrape does
	for _, family := range families {
		if family.GetName() == "roomtoken_rooms" {
			for _, m := range family.GetMetric() {
				fmt.Println(m.GetLabel()[0].GetValue(), m.GetGauge().GetValue())
			}
		}
	}
	fmt.Println(err)
	// Output:
	// empty 0
	// failed 0
	// failing 0
	// idle 0
	// retrying 0
	// stuck 0
	// valid 1
	// <nil>
}

// Two Managers in one process need a label that tells them apart.
func ExampleNewCollector_twoManagers() {
	eu, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer eu.Close()
	us, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer us.Close()

	registry := prometheus.NewRegistry()
	for account, manager := range map[string]*roomtoken.Manager{"eu": eu, "us": us} {
		labelled := prometheus.WrapRegistererWith(prometheus.Labels{"account": account}, registry)
		labelled.MustRegister(promroomtoken.NewCollector(manager))
	}

	families, err := registry.Gather()
	for _, family := range families {
		if family.GetName() == "roomtoken_misses_total" {
			for _, m := range family.GetMetric() {
				fmt.Println(m.GetLabel()[0].GetValue(), m.GetCounter().GetValue())
			}
		}
	}
	fmt.Println(err)
	// Output:
	// eu 0
	// us 0
	// <nil>
}

// The endpoint for browsers has metrics of its own.
func ExampleNewHTTPCollector() {
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	handler, err := roomhttp.New(manager, roomhttp.Config{
		Authorize: func(*http.Request, string) error { return nil }, // of your own
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(promroomtoken.NewCollector(manager), promroomtoken.NewHTTPCollector(handler))
	families, err := registry.Gather()
	for _, family := range families {
		if family.GetName() == "roomtoken_http_streams" {
			fmt.Println(family.GetName(), family.GetMetric()[0].GetGauge().GetValue(), err)
		}
	}
	// Output: roomtoken_http_streams 0 <nil>
}
