package promroomtoken_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/roomtoken/roomtoken/extra/promroomtoken"
)

const (
	rulesFile      = "prometheus/rules.yml"
	alertsFile     = "prometheus/alerts.yml"
	alertsTestFile = "prometheus/alerts_test.yml"
	dashboardFile  = "grafana/dashboard.json"
	runbookFile    = "../../docs/operations.md"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// promtool runs the program of that name, which is a part of Prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	name, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("this test needs promtool, a part of Prometheus; scripts/setup.sh installs it: %v", err)
	}
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// promtoolOn runs promtool on a file with that content.
func promtoolOn(t *testing.T, content any, args ...string) {
	t.Helper()
	text, err := json.Marshal(content) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, append(args, file)...)
}

func TestRulesAndAlerts(t *testing.T) {
	promtool(t, "check", "rules", "--lint-fatal", rulesFile, alertsFile)
	promtool(t, "test", "rules", alertsTestFile)
}

// metrics returns all metrics of the package.
func metrics(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(promroomtoken.NewCollectorOf(someStats), promroomtoken.NewHTTPCollectorOf(someHTTPStats))
	return gather(t, registry)
}

// seriesNames returns the names of the series of a metric.
func seriesNames(family *dto.MetricFamily) []string {
	name := family.GetName()
	if family.GetType() == dto.MetricType_HISTOGRAM {
		return []string{name + "_bucket", name + "_count", name + "_sum"}
	}
	return []string{name}
}

var (
	metricName = regexp.MustCompile(`\b(job:)?roomtoken_[a-z0-9_:]+`)
	comment    = regexp.MustCompile(`(?m)^\s*#.*$`)
	recorded   = regexp.MustCompile(`(?m)^\s*- record: (\S+)$`)
	alert      = regexp.MustCompile(`(?m)^\s*- alert: (\S+)$`)
)

// Rules, alerts, their tests, the dashboard and the runbooks name metrics that exist.
func TestFilesNameMetricsThatExist(t *testing.T) {
	var exist []string
	for _, family := range metrics(t) {
		exist = append(exist, seriesNames(family)...)
	}
	for _, match := range recorded.FindAllStringSubmatch(readFile(t, rulesFile), -1) {
		if !strings.HasPrefix(match[1], "job:roomtoken_") {
			t.Errorf("%s: the name of %s does not begin with job:roomtoken_", rulesFile, match[1])
		}
		exist = append(exist, match[1])
	}
	pages := []string{runbookFile, observabilityFile}
	for _, file := range append(pages, rulesFile, alertsFile, alertsTestFile, dashboardFile) {
		known := exist
		if slices.Contains(pages, file) { // they name histograms as such
			for _, family := range metrics(t) {
				known = append(known, family.GetName())
			}
		}
		names := metricName.FindAllString(comment.ReplaceAllString(readFile(t, file), ""), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}

// alerts returns the text of each alert by its name.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	text := comment.ReplaceAllString(readFile(t, alertsFile), "")
	places := alert.FindAllStringSubmatchIndex(text, -1)
	found := map[string]string{}
	for i, p := range places {
		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		found[text[p[2]:p[3]]] = text[p[0]:end]
	}
	return found
}

func TestAlerts(t *testing.T) {
	severities := map[string]string{
		"RoomtokenRoomsWithoutToken": "critical",
		"RoomtokenSourceFailing":     "critical",
		"RoomtokenLapses":            "warning",
		"RoomtokenRenewalsFailing":   "warning",
		"RoomtokenRateLimited":       "warning",
		"RoomtokenCallsOverdue":      "warning",
		"RoomtokenStoreDown":         "warning",
		"RoomtokenEventsDropped":     "warning",
		"RoomtokenStreamsRefused":    "warning",
	}
	tests, runbooks := readFile(t, alertsTestFile), readFile(t, runbookFile)
	found := alerts(t)
	for name, text := range found {
		for _, want := range []string{
			"severity: " + severities[name] + "\n", "summary: ", "description: ",
			"runbook_url: https://github.com/roomtoken/roomtoken/blob/main/docs/operations.md#" + strings.ToLower(name) + "\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: there is no %q", name, want)
			}
		}
		// GitHub makes the anchor of a heading of its text in lower case.
		if !strings.Contains(runbooks, "\n## "+name+"\n") {
			t.Errorf("%s has no section %s", runbookFile, name)
		}
		fires := regexp.MustCompile(`alertname: ` + name + `\s+eval_time: \S+\s+exp_alerts:\s+- exp_labels`)
		rests := regexp.MustCompile(`alertname: ` + name + `,?\s+eval_time: \w+,?\s+exp_alerts: \[\]`)
		if !fires.MatchString(tests) || !rests.MatchString(tests) {
			t.Errorf("%s: the tests of %s do not show both that it fires and that it does not", alertsTestFile, name)
		}
	}
	for name := range severities {
		if found[name] == "" {
			t.Errorf("there is no alert %s", name)
		}
	}
	for _, section := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(runbooks, -1) {
		if found[section[1]] == "" {
			t.Errorf("%s: there is no alert %s", runbookFile, section[1])
		}
	}
}
