//go:build !go1.26

package roomhttp_test

const http2InBubbles = false
