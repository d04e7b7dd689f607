package consistency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// storeFormat is the version of the stored form of State. It grows when an older version of this package could not read it rightly.
const storeFormat = 1

// MemoryStore is a Store that forgets everything when the process ends. The zero value is ready for use; it must not be copied.
type MemoryStore struct {
	mu     sync.Mutex
	states map[string]memoryState
}

type memoryState struct {
	version int64
	data    []byte // encoded, so that nobody shares memory with it
}

// Load returns what was last saved.
func (m *MemoryStore) Load(ctx context.Context, check string) (State, error) {
	if err := ctx.Err(); err != nil {
		return State{}, storeError("load", check, err)
	}
	m.mu.Lock()
	kept := m.states[check]
	m.mu.Unlock()
	if kept.data == nil {
		return State{Check: check}, nil
	}
	s, err := decodeState(check, kept.data, kept.version)
	return s, storeError("load", check, err)
}

// Save keeps s.
func (m *MemoryStore) Save(ctx context.Context, check string, s State) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, storeError("save", check, err)
	}
	data, err := encodeState(check, s)
	if err != nil {
		return 0, storeError("save", check, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.states[check].version != s.Version {
		return 0, storeError("save", check, ErrConflict)
	}
	if m.states == nil {
		m.states = map[string]memoryState{}
	}
	m.states[check] = memoryState{version: s.Version + 1, data: data}
	return s.Version + 1, nil
}

func encodeState(check string, s State) ([]byte, error) {
	s.Check = check
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write it as JSON: %w", err)
	}
	return data, nil
}

func decodeState(check string, data []byte, version int64) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("what is stored is damaged or not ours: %w", err)
	}
	if s.Check != check {
		return State{}, fmt.Errorf("what is stored is the state of the check %q", s.Check)
	}
	s.Version = version
	return s, nil
}

func storeError(doing, check string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("consistency: %s the state of the check %q: %w", doing, check, err)
}

var errNegativeVersion = errors.New("State.Version is negative: pass on what Load or Save returned")
