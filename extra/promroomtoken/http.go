package promroomtoken

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtoken/roomtoken/roomhttp"
)

// NewHTTPCollector returns a collector of the metrics of a handler, whose names begin with
// roomtoken_http_. It goes on after Handler.Shutdown. A nil handler panics.
func NewHTTPCollector(handler *roomhttp.Handler) prometheus.Collector {
	if handler == nil {
		panic("promroomtoken: NewHTTPCollector with a nil Handler")
	}
	return newHTTPCollector(handler.Stats)
}

func newHTTPCollector(stats func() roomhttp.Stats) prometheus.Collector {
	return &collector[roomhttp.Stats]{stats, httpFamilies}
}

var httpFamilies = []family[roomhttp.Stats]{
	gauge("http_streams", "Event streams that are open.",
		func(s roomhttp.Stats) float64 { return float64(s.Streams) }),
	counter("http_streams_opened_total", "Event streams that were opened.",
		func(s roomhttp.Stats) uint64 { return s.StreamsOpened }),
	counter("http_streams_refused_total", "Event streams that were refused because of a limit, or after Shutdown.",
		func(s roomhttp.Stats) uint64 { return s.StreamsRefused }),
	counter("http_streams_too_slow_total", "Event streams that ended because the client did not read.",
		func(s roomhttp.Stats) uint64 { return s.StreamsTooSlow }),

	newFamily("http_tokens_total", "Tokens that were handed out.", []string{"by"}, httpTokens),
	counter("http_denied_total", "Requests that Authorize refused or that came from a foreign page, and streams that Authorize ended.",
		func(s roomhttp.Stats) uint64 { return s.Denied }),
	counter("http_failed_total", "Requests that were answered with an error because there was no token.",
		func(s roomhttp.Stats) uint64 { return s.Failed }),
	counter("http_rejections_total", "Reports by clients that their token was refused.",
		func(s roomhttp.Stats) uint64 { return s.Rejections }),
}

func httpTokens(desc *prometheus.Desc, s roomhttp.Stats) []prometheus.Metric {
	return []prometheus.Metric{
		count(desc, s.Tokens, "request"),
		count(desc, s.TokensSent, "stream"),
	}
}
