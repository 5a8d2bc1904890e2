package tokenpack

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// kinds are the tokens that are packed, and into how many bytes.
var kinds = []struct {
	name   string
	tokens func() *tokens
	bytes  int
}{
	{"Ed25519", roomTokens, 128},
	{"HS512", hs512Tokens, 239},
	{"RS256", rs256Tokens, 337},
}

// trained returns a Codec that has a template for these tokens, and one of them.
func trained(tb testing.TB, t *tokens) (*Codec, string) {
	tb.Helper()
	c := New()
	c.Pack(t.mint())
	token := t.mint()
	if _, ok := c.pack(token); !ok {
		tb.Fatal("the second token is not packed")
	}
	return c, token
}

func TestRoundTrip(t *testing.T) {
	for _, test := range kinds {
		t.Run(test.name, func(t *testing.T) {
			c, source := New(), test.tokens()
			if packed, ok := c.pack(source.mint()); ok || packed != "" {
				t.Error("the first token of its kind is packed")
			}
			tokens := map[string]string{} // by what they are packed into
			for range 100 {
				token := source.mint()
				packed, ok := c.pack(token)
				if !ok || len(packed) != test.bytes {
					t.Fatalf("%d bytes, packed: %v, want %d bytes", len(packed), ok, test.bytes)
				}
				tokens[packed] = token
			}
			for packed, token := range tokens {
				if got := c.Unpack(packed); got != token {
					t.Errorf("unpacked:\n%s\nwant:\n%s", got, token)
				}
			}
			if len(tokens) != 100 || len(c.templates) != 1 {
				t.Errorf("%d tokens of %d templates, want 100 of 1", len(tokens), len(c.templates))
			}
		})
	}
}

// signed returns a token with these claims. Its signature is one byte repeated.
func signed(claims string, signature byte) string {
	return encode(`{"alg":"none"}`) + "." + encode(claims) + "." + encode(strings.Repeat(string(rune(signature)), 64))
}

// long are claims of which a template keeps most.
var long = strings.Repeat(`"a claim":"that stays",`, 20)

// Each value of the second token is what its mark makes of it, or text of the template.
func TestValues(t *testing.T) {
	for _, test := range []struct {
		value    string
		template string
		bytes    int // of the value in a packed token
	}{
		{"9e2a0cbe-ce66-411e-a1ac-468f0b103c9a", "\x01", 16},
		{"00000000-0000-0000-0000-000000000000", "\x01", 16},
		{"9E2A0CBE-CE66-411E-A1AC-468F0B103C9A", "\x03", 37},
		{"9e2a0cbe-ce66-411e-a1ac-468f0b103c9g", "\x03", 37},
		{"9e2a0cbe_ce66-411e-a1ac-468f0b103c9a", "\x03", 37},
		{"9e2a0cbe-ce66-411ea-1ac-468f0b103c9a", "\x03", 37},
		{"9e2a0cbece66411ea1ac468f0b103c9a", "\x03", 33},
		{"room:9e2a0cbe-ce66-411e-a1ac-468f0b103c9a", "room:\x01", 16},
		{"100000", "\x02", 3},
		{"99999", "99999", 0},
		{"946684800", "\x02", 5}, // 2000
		{"1782900000", "\x02", 5},
		{"4102444800", "\x02", 5}, // 2100
		{"1782900000000", "\x02", 6},
		{"1782900000.250", "\x02.250", 5},
		{"9999999999999999999", "\x02", 10},
		{"10000000000000000000", "\x03", 21},
		{"012345", "012345", 0},
		{"0123456789012345", "\x03", 17},
		{"-123456", "-123456", 0},
		{"Ed25519", "Ed25519", 0},
		{"telnyx_access_token", "telnyx_access_token", 0},
		{"abcdefghijklmn1", "abcdefghijklmn1", 0},
		{"abcdefghijklmno1", "\x03", 17},
		{"ABCDEFGH-_KLMNO1", "\x03", 17},
		{strings.Repeat("a1", 63), "\x03", 127},
		{strings.Repeat("a1", 64), "\x03", 130},
		{"Zimmer für 2 \u2028 \\u0000", "Zimmer für 2 \u2028 \\u0000", 0},
		{"\t\r\n\x04", "\t\r\n\x04", 0},
	} {
		c := New()
		claims := "{" + long + `"v":"` + test.value + `"}`
		c.Pack(signed(claims, 'a'))
		token := signed(claims, 'b')
		packed, ok := c.pack(token)
		if !ok {
			t.Errorf("%q: not packed", test.value)
			continue
		}
		if got := c.Unpack(packed); got != token {
			t.Errorf("%q: unpacked:\n%s\nwant:\n%s", test.value, got, token)
		}
		if n := len(packed) - 65; n != test.bytes {
			t.Errorf("%q: %d bytes, want %d", test.value, n, test.bytes)
		}
		want := `{"alg":"none"}` + "\x00{" + long + `"v":"` + test.template + "\"}\x00"
		if c.templates[0] != want {
			t.Errorf("%q: template %q, want %q", test.value, c.templates[0], want)
		}
	}
}

// What does not pay is not packed, and nothing is learned from it.
func TestNotPacked(t *testing.T) {
	claims := "{" + long + "}"
	valid := signed(claims, 'a')
	parts := strings.Split(valid, ".")
	for name, token := range map[string]string{
		"empty":                  "",
		"opaque":                 "rt_51Hq2nZkZUOZMxZOfOmLpEUB3siU7u6RjZFeM9sgb",
		"two parts":              parts[0] + "." + parts[1],
		"four parts":             valid + ".",
		"encrypted":              valid + "." + parts[1] + "." + parts[2],
		"header not base64":      "?" + valid,
		"claims not base64":      parts[0] + ".?" + parts[1] + "." + parts[2],
		"signature not base64":   valid + "?",
		"padding":                valid + "==",
		"line break":             parts[0] + ".\n" + parts[1] + "." + parts[2],
		"line break at the end":  valid + "\r\n",
		"bits beyond the last":   parts[0] + "." + parts[1] + "." + parts[2][:85] + "R",
		"mark in the header":     encode("{\x00}") + "." + parts[1] + "." + parts[2],
		"mark in the claims":     signed(claims+"\x03", 'a'),
		"too many values":        "." + encode(strings.Repeat(strings.Repeat("a1", 64)+",", 10)) + "." + parts[2],
		"too long":               signed(strings.Repeat(long, 4), 'a'),
		"a megabyte":             signed(strings.Repeat(long, 2000), 'a'),
		"a megabyte of dots":     strings.Repeat(".", 1<<20),
		"a megabyte of anything": strings.Repeat("\xff", 1<<20),
	} {
		c := New()
		// Another signature, so that the second is learned if nothing else is wrong.
		c.Pack(strings.Replace(token, parts[2][:4], "AAAA", 1))
		if packed, ok := c.pack(token); ok || packed != "" {
			t.Errorf("%s: packed into %d bytes", name, len(packed))
		}
		if len(c.templates) > 0 || c.oldest > 0 {
			t.Errorf("%s: %d templates, %d tokens remembered", name, len(c.templates), c.oldest)
		}
	}
	c := New()
	c.Pack(signed(claims, 'b'))
	if _, ok := c.pack(valid); !ok {
		t.Error("the valid token is not packed: the test proves nothing")
	}
}

func TestLongest(t *testing.T) {
	head := encode(`{"alg":"none"}`) + "." + encode("{"+long+"}") + "."
	for length, want := range map[int]bool{maxToken - 1: true, maxToken: true, maxToken + 1: false} {
		signature := strings.Repeat("A", length-len(head))
		if len(signature)%4 == 1 {
			t.Fatalf("%d bytes: the signature is no base64: the test proves nothing", length)
		}
		c, token := New(), head+signature
		c.Pack(head + "B" + signature[1:])
		packed, ok := c.pack(token)
		if ok != want {
			t.Errorf("%d bytes: packed: %v, want %v", length, ok, want)
		}
		if ok && c.Unpack(packed) != token {
			t.Errorf("%d bytes: not the same token", length)
		}
	}
}

// texts returns all strings that are reachable from a Codec.
func texts(c *Codec) string {
	all := strings.Join(c.templates, "\n")
	for template := range c.index {
		all += "\n" + template
	}
	return all
}

// A Codec keeps no signature and no value of a token, and nothing that only one had.
func TestKeepsNoSecret(t *testing.T) {
	for _, test := range kinds {
		c, source := New(), test.tokens()
		for range 10 {
			token := source.mint()
			c.Pack(token)
			text, signature := jsonOf(token)
			for _, value := range strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(`{}[]":,=`, r) }) {
				if len(value) >= 16 && strings.ContainsAny(value, "0123456789") && strings.Contains(texts(c), value) {
					t.Errorf("%s: the Codec has %s", test.name, value)
				}
			}
			if all := texts(c); strings.Contains(all, string(signature)) || strings.Contains(all, strings.Split(token, ".")[2]) {
				t.Errorf("%s: the Codec has a signature", test.name)
			}
		}
	}
	c := New()
	for i := range 200 {
		name := strings.Repeat(string(rune('a'+i%26)), 1+i/26) // too short to be a value
		c.Pack(signed("{"+long+`"password":"`+name+`"}`, byte(i%100)))
		if len(c.templates) > 0 {
			t.Fatalf("the Codec has %q, which only one token had", c.templates[0])
		}
	}
	// What the test reads is all there is.
	if fields := reflect.TypeFor[Codec]().NumField(); fields != 6 {
		t.Errorf("a Codec has %d fields, want 6: does the new one keep a secret?", fields)
	}
}

// The same token again is not another one.
func TestSameTokenAgain(t *testing.T) {
	c, source := New(), roomTokens()
	token := source.mint()
	for range 3 {
		if _, ok := c.pack(token); ok {
			t.Fatal("packed, although no other token has been seen")
		}
	}
	if c.oldest != 1 {
		t.Errorf("remembered %d times, want once", c.oldest)
	}
	c.Pack(source.mint())
	if packed, ok := c.pack(token); !ok || c.Unpack(packed) != token {
		t.Error("not packed after another token")
	}
}

// kindOf returns claims of which each i has its own template.
func kindOf(i int) string {
	return fmt.Sprintf(`{%s"kind":"%d","iat":1782900000}`, long, i)
}

// A source that changes its claims all the time gets 32 templates; what has been packed
// with them stays readable.
func TestTemplatesAreBounded(t *testing.T) {
	c := New()
	tokens := map[string]string{}
	for i := range 100 {
		c.Pack(signed(kindOf(i), 'a'))
		token := signed(kindOf(i), 'b')
		packed, ok := c.pack(token)
		if ok != (i < maxTemplates) {
			t.Errorf("kind %d is packed: %v", i, ok)
		}
		if ok {
			tokens[packed] = token
		}
	}
	if len(c.templates) != maxTemplates || len(c.index) != maxTemplates || len(tokens) != maxTemplates {
		t.Errorf("%d templates, %d in the index, %d tokens, want %d", len(c.templates), len(c.index), len(tokens), maxTemplates)
	}
	for packed, token := range tokens {
		if c.Unpack(packed) != token {
			t.Errorf("not the same token: %s", token)
		}
	}
	if _, ok := c.pack(signed(kindOf(0), 'c')); !ok {
		t.Error("a known kind is no longer packed")
	}
}

// Claims that differ each time take no template from a kind that comes back.
func TestLearnsAmongStrangers(t *testing.T) {
	c, source := New(), roomTokens()
	strangers := 0
	for _, test := range []struct {
		between int
		packed  bool
	}{{0, false}, {maxTemplates, false}, {maxTemplates - 1, true}, {1000, true}} {
		for range test.between {
			strangers++
			c.Pack(signed(kindOf(strangers), 'a'))
		}
		if _, ok := c.pack(source.mint()); ok != test.packed {
			t.Errorf("after %d others: packed: %v, want %v", test.between, ok, test.packed)
		}
	}
	if len(c.templates) != 1 {
		t.Errorf("%d templates, want 1", len(c.templates))
	}
}

// Two kinds whose values are the same differ in the template.
func TestTemplateIsPartOfThePackedToken(t *testing.T) {
	c := New()
	packed := map[string]bool{}
	for i := range 2 {
		for _, signature := range []byte("ab") {
			token := signed(kindOf(i), signature)
			if p, ok := c.pack(token); ok {
				packed[p] = true
				if c.Unpack(p) != token {
					t.Errorf("kind %d: not the same token", i)
				}
			}
		}
	}
	if len(packed) != 2 {
		t.Errorf("%d packed tokens, want 2", len(packed))
	}
}

func TestUnpackAnything(t *testing.T) {
	c, token := trained(t, hs512Tokens())
	packed, _ := c.pack(token)
	values := len(packed) - 64
	for n := range values {
		if got := c.Unpack(packed[:n]); got != "" {
			t.Errorf("%d bytes of a packed token: %q, want nothing", n, got)
		}
	}
	for n := values; n < len(packed); n++ { // the end of the signature is not marked
		if c.Unpack(packed[:n]) == token {
			t.Errorf("%d bytes are the whole token", n)
		}
	}
	for name, other := range map[string]string{
		"no template":     "\x01" + packed[1:],
		"endless varints": packed[:1] + strings.Repeat("\xff", 300),
		"a long word":     packed[:values-127] + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + packed[values-127:],
	} {
		if got := c.Unpack(other); got != "" {
			t.Errorf("%s: %q, want nothing", name, got)
		}
	}
	if got := New().Unpack(packed); got != "" {
		t.Errorf("a Codec without templates: %q, want nothing", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	c := New()
	for _, test := range kinds {
		source := test.tokens()
		c.Pack(source.mint())
		c.Pack(source.mint())
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			source := kinds[i%len(kinds)].tokens()
			source.rng = newRand(uint64(i))
			for n := range 100 {
				known, other := source.mint(), signed(kindOf(n%40), byte(i))
				for _, token := range []string{known, other} {
					packed, ok := c.pack(token)
					if !ok && token == known {
						t.Error("a known kind is not packed")
					}
					if ok && c.Unpack(packed) != token {
						t.Errorf("not the same token: %s", token)
					}
				}
			}
		})
	}
	wg.Wait()
	if len(c.templates) != maxTemplates {
		t.Errorf("%d templates, want %d", len(c.templates), maxTemplates)
	}
	for i, template := range c.templates {
		if int(c.index[template]) != i {
			t.Errorf("template %d has the index %d", i, c.index[template])
		}
	}
}

// Pack and Unpack allocate what they return. A token that is not packed costs nothing.
func TestAllocations(t *testing.T) {
	for _, test := range kinds {
		c, token := trained(t, test.tokens())
		packed, _ := c.pack(token)
		other := signed(kindOf(1), 'a')
		for name, f := range map[string]struct {
			do   func()
			want float64
		}{
			"Pack":          {func() { c.Pack(token) }, 1},
			"Unpack":        {func() { c.Unpack(packed) }, 1},
			"Pack, refused": {func() { c.Pack(other) }, 0},
			"Pack, opaque":  {func() { c.Pack("opaque") }, 0},
		} {
			if n := testing.AllocsPerRun(100, f.do); n != f.want {
				t.Errorf("%s, %s: %v allocations, want %v", test.name, name, n, f.want)
			}
		}
	}
}

// What Pack returns is for Unpack, whatever the token is: also if it is not packed, and
// begins like one that is.
func TestEveryToken(t *testing.T) {
	c, learned := trained(t, roomTokens())
	for _, token := range []string{"", "opaque", learned, "\x00", "\x00rest", "\x1e", "\x1f", "\x1f\x1f", "\x20", c.Pack(learned)} {
		packed := c.Pack(token)
		if got := c.Unpack(packed); got != token {
			t.Errorf("Unpack(Pack(%q)) = %q", token, got)
		}
	}
	if packed := c.Pack(learned); len(packed) > len(learned)/2 {
		t.Errorf("a token of %d bytes is kept in %d, want half of them at most", len(learned), len(packed))
	}
}
