package consistencytest_test

import (
	"testing"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/consistencytest"
)

// A test of a store of your own.
func ExampleStore() {
	_ = func(t *testing.T) { // func TestMyStore(t *testing.T)
		consistencytest.Store(t, func(t *testing.T) func() consistency.Store {
			dir := t.TempDir()
			return func() consistency.Store { return consistency.FileStore{Dir: dir} }
		})
	}
	// Output:
}
