package promroomtoken_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/roomtoken/roomtoken/extra/promroomtoken"
	"github.com/roomtoken/roomtoken/internal/doctest"
)

const observabilityFile = "../../docs/observability.md"

// listed returns the metrics of a collector as the page lists them: the name without its
// prefix, the type, and the labels.
func listed(t *testing.T, collector prometheus.Collector) (entries []string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector)
	for _, family := range gather(t, registry) {
		entry := "`" + strings.TrimPrefix(family.GetName(), "roomtoken_") + "` " + strings.ToLower(family.GetType().String())
		if labels := labels(family); len(labels) > 0 {
			entry += " by `" + strings.Join(labels, "`, `") + "`"
		}
		entries = append(entries, entry)
	}
	return entries
}

// labels returns the names of the labels of a metric.
func labels(family *dto.MetricFamily) (names []string) {
	for _, m := range family.GetMetric() {
		for _, label := range m.GetLabel() {
			names = append(names, label.GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestDocsListEveryMetric(t *testing.T) {
	page := doctest.Read(t, observabilityFile)
	page.CompareTable(t, "Metrics of a Manager", listed(t, promroomtoken.NewCollectorOf(someStats)), 0)
	page.CompareTable(t, "Metrics of a roomhttp.Handler", listed(t, promroomtoken.NewHTTPCollectorOf(someHTTPStats)), 0)

	var rules []string
	for _, match := range recorded.FindAllStringSubmatch(readFile(t, rulesFile), -1) {
		rules = append(rules, "`"+match[1]+"`")
	}
	page.CompareTable(t, "Recording rules", rules, 0)
}

// The queries on the project's pages are valid.
func TestDocsQueries(t *testing.T) {
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, page := range doctest.Open(t, "../..").Pages() {
		for _, block := range page.Blocks("promql") {
			for expr := range strings.Lines(block.Text) {
				rules = append(rules, rule{fmt.Sprintf("docs:query%d:line", len(rules)), strings.TrimSpace(expr)})
			}
		}
	}
	if len(rules) == 0 {
		t.Fatal("no page has a query")
	}
	promtoolOn(t, map[string]any{"groups": []any{map[string]any{"name": "docs", "rules": rules}}}, "check", "rules")
}

// The code on the project's pages that uses this module.
func TestDocsCode(t *testing.T) {
	const module = "github.com/roomtoken/roomtoken"
	env := doctest.Env{
		Packages: []string{
			"github.com/prometheus/client_golang/prometheus", module, module + "/roomhttp", module + "/extra/promroomtoken",
		},
		Variables: "var manager *roomtoken.Manager\nvar handler *roomhttp.Handler\n",
	}
	doctest.Open(t, "../..").CheckGo(t, env, func(block doctest.Code) bool {
		return doctest.UsesAny(block, "promroomtoken")
	})
}
