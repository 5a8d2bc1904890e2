package tokenpack

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// BenchmarkRenewal measures what a renewal costs: one Pack, with its check, and one
// Unpack.
func BenchmarkRenewal(b *testing.B) {
	for _, test := range kinds {
		b.Run(test.name, func(b *testing.B) {
			c, token := trained(b, test.tokens())
			var packed string
			b.ReportAllocs()
			for b.Loop() {
				packed, _ = c.pack(token)
				if c.Unpack(packed) != token {
					b.Fatal("not the same token")
				}
			}
			b.ReportMetric(float64(len(token)), "B/token")
			b.ReportMetric(float64(len(packed)), "B/packed")
		})
	}
}

// BenchmarkFreshGoroutine is BenchmarkRenewal in a goroutine of its own, whose stack has
// to grow, beside an empty one.
func BenchmarkFreshGoroutine(b *testing.B) {
	c, token := trained(b, roomTokens())
	for name, do := range map[string]func(){
		"empty": func() {},
		"renewal": func() {
			packed, _ := c.pack(token)
			_ = c.Unpack(packed)
		},
	} {
		b.Run(name, func(b *testing.B) {
			var wg sync.WaitGroup
			for b.Loop() {
				wg.Go(do)
				wg.Wait()
			}
		})
	}
}

func BenchmarkPack(b *testing.B) {
	c, token := trained(b, roomTokens())
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.pack(token); !ok {
			b.Fatal("not packed")
		}
	}
}

// BenchmarkPackOpaque measures what a token costs that cannot be packed.
func BenchmarkPackOpaque(b *testing.B) {
	c, token := New(), strings.Repeat("opaque-token_", 48)
	b.ReportAllocs()
	for b.Loop() {
		c.Pack(token)
	}
}

func BenchmarkUnpack(b *testing.B) {
	c, token := trained(b, roomTokens())
	packed, _ := c.pack(token)
	b.ReportAllocs()
	for b.Loop() {
		c.Unpack(packed)
	}
}

// BenchmarkMemory reports the heap that 100,000 tokens take, as they are and packed.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	texts := make([]string, n)
	t := roomTokens()
	t.sign = func([]byte) []byte { return t.bytes(64) } // real signatures take long to make
	for name, keep := range map[string]func(c *Codec, token string) string{
		"token": func(_ *Codec, token string) string { return strings.Clone(token) },
		"packed": func(c *Codec, token string) string {
			if packed, ok := c.pack(token); ok {
				return packed
			}
			return strings.Clone(token)
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				clear(texts)
				before := heap()
				c := New()
				for i := range texts {
					texts[i] = keep(c, t.mint())
				}
				b.ReportMetric(float64(heap()-before)/n, "B/token")
				runtime.KeepAlive(c)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkFlate is BenchmarkRenewal with compress/flate, which has the JSON of an earlier
// token as its dictionary. It compresses the JSON, not the base64.
func BenchmarkFlate(b *testing.B) {
	t := roomTokens()
	dictionary, _ := jsonOf(t.mint())
	token := t.mint()
	var out, text, check bytes.Buffer
	w, err := flate.NewWriterDict(&out, 6, dictionary)
	if err != nil {
		b.Fatal(err)
	}
	r := flate.NewReaderDict(nil, dictionary)
	unpack := func(packed string) string {
		if err := r.(flate.Resetter).Reset(strings.NewReader(packed[64:]), dictionary); err != nil {
			b.Fatal(err)
		}
		text.Reset()
		if _, err := io.Copy(&text, r); err != nil {
			b.Fatal(err)
		}
		header, claims, _ := bytes.Cut(text.Bytes(), []byte{0})
		check.Reset()
		enc := check.AvailableBuffer()
		enc = append(base64.RawURLEncoding.AppendEncode(enc, header), '.')
		enc = append(base64.RawURLEncoding.AppendEncode(enc, claims), '.')
		return string(base64.RawURLEncoding.AppendEncode(enc, []byte(packed[:64])))
	}
	var packed string
	b.ReportAllocs()
	for b.Loop() {
		text, signature := jsonOf(token)
		out.Reset()
		out.Write(signature)
		w.Reset(&out)
		w.Write(text)
		w.Close()
		packed = out.String()
		for range 2 { // the check, and the renewal
			if unpack(packed) != token {
				b.Fatal("not the same token")
			}
		}
	}
	b.ReportMetric(float64(len(packed)), "B/packed")
}

// jsonOf returns the header and the claims of a token, with a zero byte between them, and
// the signature.
func jsonOf(token string) (text, signature []byte) {
	parts := strings.Split(token, ".")
	text, _ = base64.RawURLEncoding.DecodeString(parts[0])
	text, _ = base64.RawURLEncoding.AppendDecode(append(text, 0), []byte(parts[1]))
	signature, _ = base64.RawURLEncoding.DecodeString(parts[2])
	return text, signature
}
