package consistency

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// FileStore is a Store that keeps a JSON file for each check in a directory. A file is replaced as a whole (written beside, synced, renamed), so that a process or machine that
// dies leaves the old state or the new one, never a torn one. Several processes of one machine may share the directory (flock); it should not be on a network file system.
//
// A file that cannot be read, is damaged, is not ours or was written by a newer version of this package is an error, never taken as empty. To forget a check, delete its file.
type FileStore struct {
	// Dir is the directory. Required. It is made (0700) where it does not exist; its files are readable by their owner only (0600).
	Dir string
}

// stateFile is what is in a file.
type stateFile struct {
	Format  int             `json:"tashikame_consistency_state"` // names the file's kind, and is its version
	Version int64           `json:"version"`
	State   json.RawMessage `json:"state"`
}

// Load reads the check's file.
func (f FileStore) Load(ctx context.Context, check string) (State, error) {
	s, err := f.load(ctx, check)
	return s, storeError("load", check, err)
}

func (f FileStore) load(ctx context.Context, check string) (State, error) {
	if err := f.usable(ctx); err != nil {
		return State{}, err
	}
	path := f.path(check)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(f.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return State{}, err
		}
		return State{Check: check}, nil
	}
	if err != nil {
		return State{}, err
	}
	var file stateFile
	if err := json.Unmarshal(data, &file); err != nil || file.Format < 1 || file.Version < 1 {
		return State{}, fmt.Errorf("%s is damaged or not a file of this store (%d bytes): put a copy back or, if what was known of the check may be forgotten, delete it", path, len(data))
	}
	if file.Format > storeFormat {
		return State{}, fmt.Errorf("%s: %w", path, ErrNewerStore)
	}
	s, err := decodeState(check, file.State, file.Version)
	if err != nil {
		return State{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Save replaces the check's file.
func (f FileStore) Save(ctx context.Context, check string, s State) (int64, error) {
	version, err := f.save(ctx, check, s)
	return version, storeError("save", check, err)
}

func (f FileStore) save(ctx context.Context, check string, s State) (int64, error) {
	if err := f.usable(ctx); err != nil {
		return 0, err
	}
	if s.Version < 0 {
		return 0, errNegativeVersion
	}
	state, err := encodeState(check, s)
	if err != nil {
		return 0, err
	}
	data, err := json.Marshal(stateFile{Format: storeFormat, Version: s.Version + 1, State: state})
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return 0, err
	}
	unlock, err := f.lock(ctx, check)
	if err != nil {
		return 0, err
	}
	defer unlock()
	old, err := f.load(ctx, check)
	if err != nil {
		return 0, err
	}
	if old.Version != s.Version {
		return 0, ErrConflict
	}
	if err := replaceFile(f.path(check), data); err != nil {
		return 0, err
	}
	return s.Version + 1, nil
}

// replaceFile writes a file so that there is the old content or the new one, whenever the machine stops. Only one process at a time may do it for a path.
func replaceFile(path string, data []byte) (err error) {
	temp := path + ".tmp" // what a killed process has left is overwritten
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync())
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// lock waits until nobody else writes the check's file. The lock file stays: removing it would let two in.
func (f FileStore) lock(ctx context.Context, check string) (unlock func(), err error) {
	file, err := os.OpenFile(f.path(check)+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		locked, err := tryLock(file)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
		}
		if locked {
			return func() { _ = file.Close() }, nil // which gives the lock back
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return nil, errors.Join(fmt.Errorf("somebody else holds %s: %w", file.Name(), err), file.Close())
		}
	}
}

func (f FileStore) usable(ctx context.Context) error {
	if f.Dir == "" {
		return errors.New("FileStore.Dir is empty: name the directory that holds the files")
	}
	return ctx.Err()
}

// path is the check's file: what can be read of its name, and a digest that makes it unique whatever the name and the file system.
func (f FileStore) path(check string) string {
	readable := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, check)
	sum := sha256.Sum256([]byte(check))
	return filepath.Join(f.Dir, readable[:min(len(readable), 48)]+"-"+hex.EncodeToString(sum[:16])+".json")
}
