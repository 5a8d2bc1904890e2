package promroomtoken_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/roomtoken/roomtoken"
)

func newManager(t *testing.T, source roomtoken.TokenSource) *roomtoken.Manager {
	t.Helper()
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	return manager
}

// gather returns what a scrape of the registry returns.
func gather(t *testing.T, registry prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Error(err)
	}
	return families
}

// exposition returns the metrics of a collector as text.
func exposition(t *testing.T, collector prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector)
	var text strings.Builder
	for _, family := range gather(t, registry) {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			t.Error(err)
		}
	}
	return text.String()
}
