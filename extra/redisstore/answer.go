package redisstore

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/roomtoken/roomtoken"
)

// answer is what a script returned. Its methods take values from the front; once one was
// not as expected, err says so, and what they return means nothing.
type answer struct {
	rest   []any
	failed bool
}

func (a *answer) next() any {
	if len(a.rest) == 0 {
		a.failed = true
		return nil
	}
	v := a.rest[0]
	a.rest = a.rest[1:]
	return v
}

func (a *answer) text() string {
	s, ok := a.next().(string)
	a.failed = a.failed || !ok
	return s
}

// number takes a whole number from 0 to most.
func (a *answer) number(most uint64) uint64 {
	n, err := strconv.ParseUint(a.text(), 10, 64)
	a.failed = a.failed || err != nil || n > most
	return n
}

// count takes a number that may be larger than an int.
func (a *answer) count() int { return int(min(a.number(maxNumber), math.MaxInt32)) }

func (a *answer) bool() bool { return a.number(1) == 1 }

func (a *answer) time() roomtoken.StoreTime { return roomtoken.StoreTime(a.number(maxNumber)) }

func (a *answer) duration() time.Duration {
	return time.Duration(a.number(math.MaxInt64/1000)) * time.Microsecond
}

func (a *answer) digest() (d roomtoken.Digest) {
	text := a.text()
	a.failed = a.failed || len(text) != len(d)
	copy(d[:], text)
	return d
}

func (a *answer) failure() roomtoken.Failure {
	return roomtoken.Failure{
		Kind:  roomtoken.FailureKind(min(a.number(maxNumber), math.MaxUint8)),
		Count: a.count(),
		Text:  a.text(),
	}
}

// list takes the elements of an array.
func (a *answer) list() *answer {
	values, ok := a.next().([]any)
	a.failed = a.failed || !ok
	return &answer{rest: values, failed: !ok}
}

// err returns an error if a value was not as expected.
func (a *answer) err() error {
	if a.failed {
		return errors.New("redisstore: the server returned what the script does not")
	}
	return nil
}
