package promroomtoken_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// dashboard is what the tests look at of one.
type dashboard struct {
	Title, UID string
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
			Datasource datasource
			IncludeAll bool
			Multi      bool
		}
	}
	Panels []panel
}

type datasource struct{ Type, UID string }

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []struct {
		Expr, LegendFormat, RefID string
		Datasource                datasource
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(readFile(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The dashboard can be imported anywhere: the data source and the job are variables, and
// every query uses them.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.Title == "" || d.UID == "" || len(d.Templating.List) != 2 {
		t.Fatalf("title %q, uid %q, %d variables", d.Title, d.UID, len(d.Templating.List))
	}
	chosen := datasource{"prometheus", "${datasource}"}
	if v := d.Templating.List[0]; v.Name != "datasource" || v.Type != "datasource" || v.Query != "prometheus" {
		t.Errorf("first variable: %+v", v)
	}
	if v := d.Templating.List[1]; v.Name != "job" || v.Type != "query" || v.Datasource != chosen || !v.Multi || !v.IncludeAll {
		t.Errorf("second variable: %+v", v)
	}

	var rows []string
	ids := map[int]bool{}
	taken := map[[2]int]string{} // cells of the grid
	bottom := 0
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: its id %d is not the only one", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies outside of the grid or over %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			if p.GridPos.Y < bottom {
				t.Errorf("row %s stands above panels that come before it", p.Title)
			}
			rows = append(rows, p.Title)
			continue
		}
		bottom = max(bottom, p.GridPos.Y+p.GridPos.H)
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 || p.Datasource != chosen {
			t.Errorf("panel %d %q: its title, its description, its queries or the variable for its data source are missing", p.ID, p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource != chosen || target.LegendFormat == "" {
				t.Errorf("%s: query %s has data source %v and legend %q", p.Title, target.RefID, target.Datasource, target.LegendFormat)
			}
			selectors := strings.Count(target.Expr, "roomtoken_")
			if strings.Count(target.Expr, `{job=~"$job"`) != selectors || selectors == 0 {
				t.Errorf("%s: not every metric is of the chosen job: %s", p.Title, target.Expr)
			}
		}
	}
	if want := []string{"Rooms", "Calls", "Latency", "Waits", "Holds", "Fleet", "Streams"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}

func TestDashboardShowsEveryMetric(t *testing.T) {
	text := readFile(t, dashboardFile)
	for _, family := range metrics(t) {
		if !slices.ContainsFunc(seriesNames(family), func(name string) bool { return strings.Contains(text, name+"{") }) {
			t.Errorf("the dashboard does not show %s", family.GetName())
		}
	}
}

// Each query of the dashboard returns numbers when the metrics that the collectors export
// are scraped.
func TestDashboardQueriesReturnData(t *testing.T) {
	type series struct {
		Series string `json:"series"`
		Values string `json:"values"`
	}
	type sample struct {
		Labels string  `json:"labels"`
		Value  float64 `json:"value"`
	}
	type query struct {
		Expr     string   `json:"expr"`
		EvalTime string   `json:"eval_time"`
		Samples  []sample `json:"exp_samples"`
	}
	type test struct {
		Interval string   `json:"interval"`
		Series   []series `json:"input_series"`
		Queries  []query  `json:"promql_expr_test"`
	}
	scraped := test{Interval: "15s"}
	for _, family := range metrics(t) {
		for _, m := range family.GetMetric() {
			for _, s := range samples(family.GetName(), m) {
				scraped.Series = append(scraped.Series, series{s, "1+1x40"})
			}
		}
	}
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$job", ".+", "$__rate_interval", "1m").Replace(target.Expr)
			scraped.Queries = append(scraped.Queries, query{
				"count((" + expr + ") >= 0) > bool 0", "5m", []sample{{"{}", 1}}, // NaN is not >= 0
			})
		}
	}
	promtoolOn(t, map[string]any{"evaluation_interval": "15s", "tests": []test{scraped}}, "test", "rules")
}

// samples returns the series of a metric, as a scrape of the job bot stores them.
func samples(name string, m *dto.Metric) (series []string) {
	var labels strings.Builder
	for _, pair := range m.GetLabel() {
		fmt.Fprintf(&labels, "%s=%q, ", pair.GetName(), pair.GetValue())
	}
	labels.WriteString(`job="bot", instance="a"`)
	if m.GetHistogram() == nil {
		return []string{name + "{" + labels.String() + "}"}
	}
	for _, bucket := range m.GetHistogram().GetBucket() {
		series = append(series, fmt.Sprintf("%s_bucket{%s, le=\"%v\"}", name, &labels, bucket.GetUpperBound()))
	}
	return append(series,
		fmt.Sprintf("%s_bucket{%s, le=\"+Inf\"}", name, &labels),
		fmt.Sprintf("%s_count{%s}", name, &labels),
		fmt.Sprintf("%s_sum{%s}", name, &labels))
}
