package roomtoken

import "fmt"

// CallKind is one of the two calls of a [TokenSource]. The zero CallKind is neither.
type CallKind uint8

// The calls of a [TokenSource].
const (
	CallCreate CallKind = iota + 1
	CallRefresh
)

// String returns "create", "refresh", or "none" for the zero CallKind.
func (k CallKind) String() string {
	switch k {
	case CallCreate:
		return "create"
	case CallRefresh:
		return "refresh"
	case 0:
		return "none"
	default:
		return fmt.Sprintf("CallKind(%d)", uint8(k))
	}
}
