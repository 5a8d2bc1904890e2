package otelroomtoken_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken/extra/otelroomtoken"
	"github.com/roomtoken/roomtoken/internal/doctest"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

const observabilityFile = "../../docs/observability.md"

// listed returns entries as the page lists them: a name and what belongs to it, and the
// attributes.
type listed map[string][]string

func (l listed) add(name string, attributes ...string) { l[name] = append(l[name], attributes...) }

func (l listed) entries(separator string) (entries []string) {
	for name, attributes := range l {
		slices.Sort(attributes)
		if attributes = slices.Compact(attributes); len(attributes) > 0 {
			name += separator + "`" + strings.Join(attributes, "`, `") + "`"
		}
		entries = append(entries, name)
	}
	return entries
}

func TestDocsListEveryMetricAndSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTelemetry(t, otelroomtoken.NewProducerOf(someStats))
		if _, err := otelroomtoken.RegisterStats(someStats, x.options()...); err != nil {
			t.Fatal(err)
		}
		// Calls of both kinds, with and without success.
		source := &roomtokentest.Source{TokenTTL: time.Minute}
		manager := newManager(t, otelroomtoken.NewSource(source, x.options()...))
		_, _ = manager.Token(t.Context(), "lobby")
		time.Sleep(50 * time.Second)
		source.Fail(errors.New("out of order"), -1)
		_, _ = manager.Token(t.Context(), "attic")
		time.Sleep(time.Minute)

		metrics := listed{}
		for _, line := range lines(x.collect()) {
			parts := strings.SplitN(line, " ", 4) // name, kind, unit, {attributes} and value
			attributes, _, _ := strings.Cut(strings.TrimPrefix(parts[3], "{"), "}")
			var keys []string
			for pair := range strings.SplitSeq(attributes, ",") {
				if key, _, ok := strings.Cut(pair, "="); ok {
					keys = append(keys, key)
				}
			}
			kind := strings.Replace(parts[1], "up-down", "up-down counter", 1)
			metrics.add(fmt.Sprintf("`%s` %s `%s`", strings.TrimPrefix(parts[0], "roomtoken."), kind, parts[2]), keys...)
		}
		spans := listed{}
		for _, span := range x.recorder.Ended() {
			for _, attribute := range span.Attributes() {
				spans.add("`"+span.Name()+"`", string(attribute.Key))
			}
		}

		page := doctest.Read(t, observabilityFile)
		page.CompareTable(t, "Metrics of a Manager", metrics.entries(" by "), 1)
		page.CompareTable(t, "Spans", spans.entries(" | "), 0, 1)
	})
}

func TestDocsListEveryErrorType(t *testing.T) {
	var types []string
	for _, name := range otelroomtoken.ErrorTypes() {
		types = append(types, "`"+name+"`")
	}
	doctest.Read(t, observabilityFile).CompareTable(t, "Errors of spans", types, 0)
}

// The code on the project's pages that uses this module.
func TestDocsCode(t *testing.T) {
	const module = "github.com/roomtoken/roomtoken"
	env := doctest.Env{
		Packages: []string{
			"sdkmetric go.opentelemetry.io/otel/sdk/metric", module, module + "/extra/otelroomtoken",
		},
		Variables: "var source roomtoken.TokenSource\nvar manager *roomtoken.Manager\nvar exporter sdkmetric.Exporter\n",
	}
	doctest.Open(t, "../..").CheckGo(t, env, func(block doctest.Code) bool {
		return doctest.UsesAny(block, "otelroomtoken")
	})
}
