// Package tokenpack keeps the JSON Web Tokens of a source in fewer bytes.
//
// Most of such a token is the same in the next one: the names of the claims, the issuer,
// the structure. A [Codec] keeps that once, as a template. What is left of each token are
// its values (times, UUIDs, other identifiers) and its signature, in binary.
package tokenpack

import (
	"encoding/base64"
	"hash/maphash"
	"strings"
	"sync"
)

const (
	// maxToken is the length of the longest token that is packed, in bytes. It bounds
	// the templates, and the buffers, which are on the stack.
	maxToken = 2048
	// maxTemplates bounds the templates of a Codec.
	maxTemplates = 31
	// plain begins what is kept of a token that is not packed, but begins like one that is:
	// with the index of a template.
	plain = maxTemplates
)

// Codec packs and unpacks tokens. It learns from those it is given: the first token of
// its kind is not packed, the next ones are. It is safe for concurrent use. Its lock is
// held for a look-up only, and it calls nobody.
//
// A packed token is as secret as the token. A Codec keeps nothing of a token but the
// template, and that only once two tokens with different signatures have had the same
// one: a template has no values, no signature, and no text that only one token had. It
// is never dropped, because packed tokens refer to it. A Codec that has 31 templates, of
// less than 2 KB each, makes no more.
type Codec struct {
	seed maphash.Seed

	mu        sync.Mutex
	templates []string
	index     map[string]byte        // in templates
	seen      [maxTemplates]sighting // the latest
	oldest    int                    // in seen
}

// sighting is what a Codec remembers of a token that had a new template: two hashes.
type sighting struct{ template, signature uint64 }

// New returns a Codec without templates.
func New() *Codec {
	return &Codec{seed: maphash.MakeSeed(), index: map[string]byte{}}
}

// Pack returns the token in fewer bytes, for Unpack of the same Codec. Where that does not
// pay it returns the token: it is not a signed JSON Web Token, its base64 is not canonical,
// it is the first of its kind, it has more than 2,048 bytes, or it would keep more than
// three quarters of them.
//
// Pack has unpacked what it returns, and compared it with the token.
func (c *Codec) Pack(token string) (packed string) {
	if packed, ok := c.pack(token); ok {
		return packed
	}
	if token != "" && token[0] <= plain {
		return string(rune(plain)) + token
	}
	return token
}

// pack packs the token; ok is false if that does not pay.
func (c *Codec) pack(token string) (packed string, ok bool) {
	if len(token) > maxToken {
		return "", false
	}
	header, rest, _ := strings.Cut(token, ".")
	claims, signature, ok := strings.Cut(rest, ".")
	if !ok {
		return "", false
	}
	template := make([]byte, 0, maxToken)
	values := make([]byte, 1, maxToken) // the first byte is for the index of the template
	text := make([]byte, 0, maxToken)
	for _, part := range [...]string{header, claims} {
		text, err := base64.RawURLEncoding.AppendDecode(text, []byte(part))
		if err != nil {
			return "", false
		}
		template, values = split(template, values, text)
	}
	values, err := base64.RawURLEncoding.AppendDecode(values, []byte(signature))
	if err != nil || len(values) > len(token)*3/4 {
		return "", false
	}
	check, ok := join(text, template, values[1:])
	if !ok || string(check) != token {
		return "", false
	}
	if values[0], ok = c.find(template, signature); !ok {
		return "", false
	}
	return string(values), true
}

// Unpack returns the token for which Pack of the same Codec has returned packed. Of any
// other string it makes another string, perhaps an empty one.
func (c *Codec) Unpack(packed string) (token string) {
	switch {
	case packed == "" || packed[0] > plain:
		return packed
	case packed[0] == plain:
		return packed[1:]
	}
	c.mu.Lock()
	templates := c.templates
	c.mu.Unlock()
	if int(packed[0]) >= len(templates) {
		return ""
	}
	text, ok := join(make([]byte, 0, maxToken), []byte(templates[packed[0]]), []byte(packed[1:]))
	if !ok {
		return ""
	}
	return string(text)
}

// find returns the index of the template. It adds the template if another token has had
// the same one.
func (c *Codec) find(template []byte, signature string) (index byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index, ok := c.index[string(template)]; ok {
		return index, true
	}
	if len(c.templates) == maxTemplates {
		return 0, false
	}
	now := sighting{maphash.Bytes(c.seed, template), maphash.String(c.seed, signature)}
	for _, before := range &c.seen {
		if before.template != now.template {
			continue
		}
		if before.signature == now.signature {
			return 0, false
		}
		index := byte(len(c.templates))
		c.templates = append(c.templates, string(template))
		c.index[c.templates[index]] = index
		return index, true
	}
	c.seen[c.oldest] = now
	c.oldest = (c.oldest + 1) % len(c.seen)
	return 0, false
}
