//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package consistency

import (
	"errors"
	"os"
)

// tryLock fails: without flock two processes could overwrite each other's state unnoticed.
func tryLock(*os.File) (bool, error) {
	return false, errors.New("FileStore needs flock, which this operating system does not have: use SQLStore")
}

func syncDir(string) error { return nil }
