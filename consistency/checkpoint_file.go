package consistency

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FileCheckpoints keeps checkpoints as files in Dir, one for each check, readable by this user only. A file is replaced as a whole: after a kill it holds the
// checkpoint before or the one after. One process at a time may run a check with the same Dir.
type FileCheckpoints struct {
	// Dir is made if there is none. Required.
	Dir string
}

func (f FileCheckpoints) path(check string) string {
	readable := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, check)
	sum := sha256.Sum256([]byte(check)) // two names never share a file, however long or odd
	return filepath.Join(f.Dir, fmt.Sprintf("%.40s-%x.checkpoint.json", readable, sum[:8]))
}

// LoadCheckpoint reads the file of the check.
func (f FileCheckpoints) LoadCheckpoint(_ context.Context, check string) ([]byte, error) {
	if f.Dir == "" {
		return nil, errors.New("FileCheckpoints.Dir is empty: name a directory that outlives the process")
	}
	data, err := os.ReadFile(f.path(check))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// SaveCheckpoint replaces the file of the check.
func (f FileCheckpoints) SaveCheckpoint(_ context.Context, check string, data []byte) error {
	if f.Dir == "" {
		return errors.New("FileCheckpoints.Dir is empty: name a directory that outlives the process")
	}
	path := f.path(check)
	if data == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	return replaceFile(path, data)
}
