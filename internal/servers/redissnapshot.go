package servers

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/redis/go-redis/v9"
)

// redisSnapshot is where a server keeps its snapshot, in its container.
const redisSnapshot = "/data/dump.rdb"

// Snapshot returns a snapshot file of what an own server holds. One whose limits hide SAVE is restarted for it.
func (s *RedisServer) Snapshot() (rdb []byte, err error) {
	client := redis.NewClient(s.setup.asOperator(s.Addr))
	defer client.Close()
	err = client.Save(context.Background()).Err()
	restart := unknown(err)
	if restart { // it takes one when it is stopped: see RedisLimits
		err = s.Stop()
	}
	if err == nil {
		err = s.do("take a snapshot of", func(ctx context.Context) error {
			file, err := s.container.CopyFileFromContainer(ctx, redisSnapshot)
			if err != nil {
				return err
			}
			defer file.Close()
			rdb, err = io.ReadAll(file)
			return err
		})
	}
	if restart {
		err = errors.Join(err, s.Start())
	}
	if err != nil {
		return nil, fmt.Errorf("servers: take a snapshot: %w", err)
	}
	return rdb, nil
}

// Load makes an own server hold what a snapshot file holds, the way a managed service does it: the server starts anew from it. The
// server must keep no append-only file.
func (s *RedisServer) Load(rdb []byte) error {
	if err := s.Kill(); err != nil { // unlike Stop, it writes no snapshot of its own
		return err
	}
	err := s.do("restore", func(ctx context.Context) error {
		return s.container.CopyToContainer(ctx, rdb, redisSnapshot, 0o644)
	})
	return errors.Join(err, s.Start())
}

// Restore makes the server hold what another one holds: it loads a snapshot of the other. Both must be own ones that keep no
// append-only file.
func (s *RedisServer) Restore(from *RedisServer) error {
	rdb, err := from.Snapshot()
	if err != nil {
		return err
	}
	return s.Load(rdb)
}
