package roomhttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/roomtoken/roomtoken"
)

// openWithin is how long the headers of a stream wait for a token or an error at most. An
// EventSource gives up for good on any status but 200, so another one is only for what is
// final, and it has to be known by then.
const openWithin = 2 * time.Second

// stream is one client that gets the tokens of a room as they come. One goroutine does
// all of it, that of the request.
type stream struct {
	h    *Handler
	w    http.ResponseWriter
	rc   *http.ResponseController
	r    *http.Request
	ctx  context.Context // ends with that of r, and with Shutdown
	room *room
	sub  *roomtoken.Subscription

	asked *http.Request // what Authorize gets; nil: it was not asked yet, since the stream began

	timer *time.Timer // of the next heartbeat; before that, of the headers

	open    bool   // the headers are sent
	further bool   // the next token is not the first: Authorize is asked before it
	has     string // the ID of the token that the client has; "": none
	problem string // the code of the problem that was sent since; "": none
}

// events streams the room's tokens until the client leaves or something ends the stream.
func (h *Handler) events(w http.ResponseWriter, r *http.Request, roomID string) {
	if !canFlush(w) {
		h.refuse(w, r, roomID, codeStreamingUnsupported, errors.New("the http.ResponseWriter has no Flush and no Unwrap: something like http.TimeoutHandler stands before the Handler"))
		return
	}
	sub := h.manager.Subscribe(r.Context(), roomID)
	defer sub.Close()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	rm, code := h.streams.enter(roomID, sub, cancel)
	if code != "" {
		h.count(&h.counts.streamsRefused, r)
		h.refuse(w, r, roomID, code, nil)
		return
	}
	defer h.streams.leave(rm, sub)
	s := &stream{
		h: h, w: w, rc: http.NewResponseController(w), r: r, ctx: ctx, room: rm, sub: sub,
		has: r.Header.Get("Last-Event-ID"),
	}
	if r.Method == http.MethodHead {
		s.setHeaders()
		w.WriteHeader(http.StatusOK)
		return
	}
	s.timer = time.NewTimer(openWithin)
	defer s.timer.Stop()
	s.liftDeadline()
	for s.step() {
	}
}

// step waits for what comes next and passes it on. It reports whether the stream goes on.
//
// The subscription wakes it for everything but the time: a token, an error, the end of the
// request's ctx, Shutdown, and Close of the Manager. With ten thousand streams each further
// channel to wait for would show.
func (s *stream) step() bool {
	select {
	case <-s.sub.Changed():
		return s.look()
	case <-s.timer.C:
		if !s.open {
			return s.send(nil) // a heartbeat is part of the first block
		}
		return s.send(s.h.heartbeat)
	}
}

// look passes on what the subscription has brought, if it has. It reports whether the
// stream goes on.
func (s *stream) look() bool {
	return s.pass(s.sub.Next())
}

// pass passes on what Next has returned.
func (s *stream) pass(tok roomtoken.Token, err error, ok bool) bool {
	switch {
	case s.r.Context().Err() != nil:
		if !s.open { // the client may still be there, if it is the ctx of the server that has ended
			s.refuse(codeUnavailable, context.Cause(s.r.Context()))
		}
		return false
	case ok && err == nil:
		return s.passToken(tok)
	case ok && !s.sub.Ended() && !errors.Is(err, roomtoken.ErrRoomNotFound):
		return s.passProblem(err)
	case ok:
		s.end(codeOf(err), err)
		return false
	case s.sub.Ended(): // Shutdown has closed it
		s.end(codeClosing, nil)
		return false
	default:
		return true
	}
}

func (s *stream) passToken(tok roomtoken.Token) bool {
	event := s.room.event(tok)
	if event.id == s.has && s.problem == "" {
		s.further = true
		return s.open || s.send(nil)
	}
	if s.further {
		if code, err := s.authorize(); s.sub.Ended() {
			return s.look()
		} else if code != "" {
			s.end(code, err)
			return false
		}
		select {
		case <-s.sub.Changed(): // Authorize has taken a while
			newer, err, ok := s.sub.Next()
			if err != nil || s.sub.Ended() {
				return s.pass(newer, err, ok)
			}
			if ok {
				tok = newer
			}
		default:
		}
		event = s.room.event(tok)
	}
	if !s.send(event.block) {
		return false
	}
	s.has, s.problem, s.further = event.id, "", true
	s.h.counts.tokensSent.Add(1)
	return true
}

// authorize asks Authorize again. The ctx of the request that it gets ends with Shutdown,
// too.
func (s *stream) authorize() (code string, err error) {
	if s.asked == nil {
		s.asked = s.r.WithContext(s.ctx)
	}
	return s.h.authorize(s.asked, s.room.id)
}

func (s *stream) passProblem(err error) bool {
	p := problemOf(codeOf(err), err)
	if p.Code == s.problem {
		return true
	}
	s.problem = p.Code
	s.h.log.write(s.r.Context(), slog.LevelDebug, "stream is without a token", s.room.id, p.Code, err)
	return s.send(problemBlock(p))
}

// end ends the stream: with a status if it has not begun and will not become any better,
// else with an event.
func (s *stream) end(code string, err error) {
	if !s.open && (code == codeRoomNotFound || code == codeClosing) {
		counter := &s.h.counts.failed
		if err == nil { // Shutdown
			counter = &s.h.counts.streamsRefused
		}
		s.h.count(counter, s.r)
		s.refuse(code, err)
		return
	}
	s.h.log.write(s.r.Context(), slog.LevelDebug, "stream ends", s.room.id, code, err)
	s.write(endBlock(code))
}

// refuse answers with a problem in the place of a stream. Its deadline stays in force, for
// what the http.Server writes when the handler has returned.
func (s *stream) refuse(code string, err error) {
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.h.config.WriteTimeout))
	s.h.refuse(s.w, s.r, s.room.id, code, err)
}

// send writes a block and sets the time of the next heartbeat. It reports whether the
// stream goes on.
func (s *stream) send(block []byte) bool {
	if !s.write(block) {
		return false
	}
	// HTTP/2 would reset the stream at a deadline that passes while nothing is written.
	_ = s.rc.SetWriteDeadline(time.Time{})
	s.timer.Reset(s.h.config.Heartbeat)
	return true
}

// write writes a block, behind the headers and the first block where they are not sent
// yet. It reports whether it could. Its deadline stays in force, for what the http.Server
// writes behind the last block.
func (s *stream) write(block []byte) bool {
	began := time.Now()
	_ = s.rc.SetWriteDeadline(began.Add(s.h.config.WriteTimeout))
	var err error
	if !s.open {
		s.open = true
		s.h.counts.streamsOpened.Add(1)
		s.setHeaders()
		s.w.WriteHeader(http.StatusOK)
		_, err = s.w.Write(append(retryLine(s.h.config.Retry), s.h.heartbeat...))
	}
	if err == nil && len(block) > 0 {
		_, err = s.w.Write(block)
	}
	if err == nil {
		err = s.rc.Flush()
	}
	// With HTTP/2 the error does not say that it was the deadline, and a wrapper may
	// swallow it; the time tells in any case.
	if time.Since(began) >= s.h.config.WriteTimeout {
		s.h.counts.streamsTooSlow.Add(1)
		s.h.log.write(s.r.Context(), slog.LevelInfo, "client does not read", s.room.id, "too_slow", err)
		return false
	}
	return err == nil
}

// setHeaders sets the headers of a stream.
func (s *stream) setHeaders() {
	header := s.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no") // nginx
}

// liftDeadline lifts the deadline that the http.Server has set for the whole response: with
// HTTP/2 it ends a stream also while nothing is written.
func (s *stream) liftDeadline() {
	if err := s.rc.SetWriteDeadline(time.Time{}); err != nil {
		s.h.log.write(s.r.Context(), slog.LevelWarn, "streams have no write deadlines: the http.ResponseWriter needs a method Unwrap", s.room.id, "no_deadlines", err)
	}
}

// canFlush reports whether [http.ResponseController.Flush] will work: calling it would
// send the headers.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case interface{ FlushError() error }, http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// Shutdown ends all streams, and refuses new ones; tokens are still served. Clients learn
// that they may connect again. It does not wait for the streams. It may be called more
// than once.
//
// [http.Server.Shutdown] waits for streams and does not end them, so register this:
//
//	server.RegisterOnShutdown(handler.Shutdown)
func (h *Handler) Shutdown() { h.streams.close() }
