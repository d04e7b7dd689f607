package redismigrate

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// FileCheckpoint keeps a checkpoint in the file at this path, readable by this user only, in a directory that exists. The file is replaced
// as a whole: after a kill it holds the state before or the one after. Remove it to begin anew.
func FileCheckpoint(path string) Checkpoint { return fileCheckpoint(path) }

type fileCheckpoint string

func (f fileCheckpoint) String() string { return string(f) }

// Load reads the file; there being none is no error.
func (f fileCheckpoint) Load(context.Context) ([]byte, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Save replaces the file.
func (f fileCheckpoint) Save(_ context.Context, data []byte) error {
	path := string(f)
	if path == "" {
		return errors.New("the path is empty; name a file that outlives the process")
	}
	next, err := os.OpenFile(path+".next", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // what a killed process has left is overwritten
	if err != nil {
		return err
	}
	_, err = next.Write(data)
	if err = errors.Join(err, next.Sync(), next.Close()); err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	dir, err := os.Open(filepath.Dir(path)) // the name is on disk only when the directory is
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
