// Package storetest tests implementations of [roomtoken.Store].
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Harness {
//			first, second := open(t), open(t) // as two processes would
//			return storetest.Harness{Stores: []roomtoken.Store{first, second}}
//		})
//	}
//
// There is a subtest for each sentence of the interface's documentation. It bears the
// words of the sentence, and when it fails it prints what was asked, what the Store
// answered, and what it should have answered.
//
// # Hooks
//
// Some sentences can be tested only with the help of the [Harness]. Where the field is
// not set, the subtest is skipped and names it:
//
//   - Advance: how long failures are remembered.
//   - Damage: what an unreadable record means.
//   - Flush: versions and the news after the Store was emptied.
//   - NewsLimit: news that the Store has forgotten.
//   - ReadOnly: a Store that takes no writes.
//
// The subtests of Wake are skipped if the Store is no [roomtoken.Waker]. No other subtest
// is ever skipped.
package storetest
