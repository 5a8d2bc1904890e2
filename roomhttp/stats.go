package roomhttp

import (
	"net/http"
	"sync/atomic"
)

// Stats describes a [Handler] to an operator. The counters count from New on. Requests
// whose client has gone before the answer are not counted.
type Stats struct {
	Streams int // open now

	StreamsOpened  uint64 // streams that have begun
	StreamsRefused uint64 // because of a limit, or after Shutdown
	StreamsTooSlow uint64 // streams that ended because the client did not read

	TokensSent uint64 // by streams
	Tokens     uint64 // handed out by requests

	Denied     uint64 // requests refused by Authorize or for their origin, and streams that Authorize ended
	Failed     uint64 // answers with an error status for want of a token
	Rejections uint64 // reports of a refused token, whether or not it was the current one
}

// counts are the counters of Stats.
type counts struct {
	streamsOpened, streamsRefused, streamsTooSlow atomic.Uint64

	tokensSent, tokens, denied, failed, rejections atomic.Uint64
}

// count counts something that happens to a request, unless its client has gone.
func (*Handler) count(counter *atomic.Uint64, r *http.Request) {
	if !hasGone(r) {
		counter.Add(1)
	}
}

// Stats returns the counters and gauges at this moment.
func (h *Handler) Stats() Stats {
	return Stats{
		Streams:        h.streams.open(),
		StreamsOpened:  h.counts.streamsOpened.Load(),
		StreamsRefused: h.counts.streamsRefused.Load(),
		StreamsTooSlow: h.counts.streamsTooSlow.Load(),
		TokensSent:     h.counts.tokensSent.Load(),
		Tokens:         h.counts.tokens.Load(),
		Denied:         h.counts.denied.Load(),
		Failed:         h.counts.failed.Load(),
		Rejections:     h.counts.rejections.Load(),
	}
}
