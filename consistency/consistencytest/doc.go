// Package consistencytest helps to test what is built on package consistency.
//
// Store is the conformance suite for a consistency.Store:
//
//	func TestMyStore(t *testing.T) {
//		consistencytest.Store(t, func(t *testing.T) func() consistency.Store {
//			dir := t.TempDir()
//			return func() consistency.Store { return mystore.New(dir) }
//		})
//	}
package consistencytest
