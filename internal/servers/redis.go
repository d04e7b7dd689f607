package servers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	redisURLEnv = "TASHIKAME_REDIS_URL"
	redisPort   = "6379" // in a container
	dialTimeout = time.Second
)

// RedisServer is a db on a real Redis or Valkey server; see Redis, OwnRedis and OwnRedisOf.
type RedisServer struct {
	control
	Client *redis.Client
	URL    string // redis://…/n, or rediss://…/n, which is of no use without TLS
	Addr   string // host:port
	DB     int
	TLS    *tls.Config // trusts the server; nil where it speaks no TLS

	setup    redisSetup
	released func(context.Context) error
}

// Redis returns an own, empty db of the shared server; it is emptied when the test ends.
func Redis(tb TB) *RedisServer {
	tb.Helper()
	return given(tb, "Redis", func(ctx context.Context) (*RedisServer, error) {
		url, err := sharedRedis(ctx)
		if err != nil {
			return nil, err
		}
		return claimRedis(ctx, url)
	})
}

// OwnRedis returns a Redis server of the test's own, started with these arguments to redis-server. The test may kill,
// restart and configure it, and fill all of its dbs.
func OwnRedis(tb TB, args ...string) *RedisServer {
	tb.Helper()
	return given(tb, "an own Redis", func(ctx context.Context) (*RedisServer, error) { return StartRedis(ctx, args...) })
}

// StartRedis is OwnRedis for programs and Examples: close what it returns.
func StartRedis(ctx context.Context, args ...string) (*RedisServer, error) {
	return StartRedisOf(ctx, RedisKind{}, args...)
}

// Options returns the options of a client for a db of an own server.
func (s *RedisServer) Options(db int) *redis.Options {
	return &redis.Options{Addr: s.Addr, DB: db, TLSConfig: s.TLS}
}

// Direct returns the server's address (host:port) on the container network, without Docker's port proxy, where that
// network can be reached, and else Addr: for benchmarks. It may change when the server is restarted.
func (s *RedisServer) Direct() string { return s.direct(s.Addr) }

// Close empties and releases the db, or removes the server if it is an own one.
func (s *RedisServer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), controlTimeout)
	defer cancel()
	return errors.Join(s.Client.Close(), s.released(ctx))
}

// sharedRedis returns the URL of the server that all tests of this process use.
var sharedRedis = shared(bringUpRedis)

func bringUpRedis(ctx context.Context) (url string, remove func(context.Context) error, err error) {
	if url := os.Getenv(redisURLEnv); url != "" {
		if _, err := redis.ParseURL(url); err != nil {
			return "", nil, fmt.Errorf("%s is not of the form redis://user:password@host:port/0", redisURLEnv) // the cause may quote the password
		}
		return url, func(context.Context) error { return nil }, nil
	}
	setup, err := RedisKind{}.setup(ctx, false, nil)
	if err != nil {
		return "", nil, err
	}
	c, addr, err := runRedis(ctx, setup, false, []string{"--databases", "1000", "--save", ""})
	if err != nil {
		return "", nil, err
	}
	return "redis://" + addr, c.remove, nil
}

// answers tells a server that is up from one that is not: one that wants a password, or refuses to be asked, is up.
func answers(err error) bool {
	return err == nil || strings.HasPrefix(err.Error(), "NOAUTH") || strings.HasPrefix(err.Error(), "WRONGPASS") || strings.HasPrefix(err.Error(), "NOPERM")
}

// unknown tells that the server has no such command.
func unknown(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "ERR unknown command")
}

// Several processes may use one server. Who uses which db is written down in db 0, which no test gets: the key
// tashikame:tests:db:<n> holds the session that claimed db n.
const claimPrefix = "tashikame:tests:db:"

func claim(n int) string { return claimPrefix + strconv.Itoa(n) }

// claimRedis takes an empty db of the server. It refuses a server that holds anything that is not ours.
func claimRedis(ctx context.Context, url string) (*RedisServer, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("the Redis URL cannot be read")
	}
	options.DB = 0
	registry := redis.NewClient(options)
	defer registry.Close()
	if err := registry.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("the Redis at %s does not let us in: %w", options.Addr, err)
	}
	used, err := foreignKeys(ctx, registry)
	if err != nil {
		return nil, err
	}
	if used != "" {
		return nil, fmt.Errorf("the Redis at %s holds keys that are not ours (%s); tests write and delete: give them an empty one (%s)", options.Addr, used, redisURLEnv)
	}
	databases := 16
	if config, err := registry.ConfigGet(ctx, "databases").Result(); err == nil { // may be forbidden
		if n, err := strconv.Atoi(config["databases"]); err == nil {
			databases = n
		}
	}
	dog, err := theWatchdog()
	if err != nil {
		return nil, err
	}
	if os.Getenv(redisURLEnv) != "" { // a container's dbs go with it
		// Told before the first claim, so that a claim can never outlive us.
		if err := dog.remember(leftover{RedisURL: url, Session: dog.session}); err != nil {
			return nil, err
		}
	}
	for n := 1; n < databases; n++ {
		if ok, err := registry.SetNX(ctx, claim(n), dog.session, 0).Result(); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		mine := *options
		mine.DB = n
		client := redis.NewClient(&mine)
		return &RedisServer{
			Client: client, Addr: options.Addr, DB: n,
			URL:      withDB(url, n),
			released: func(ctx context.Context) error { return release(ctx, options, n) },
		}, nil
	}
	return nil, fmt.Errorf("all %d dbs of the Redis at %s are taken by tests", databases-1, options.Addr)
}

// withDB returns the URL, which was parsed before, with another db and the same parameters.
func withDB(redisURL string, n int) string {
	u, err := url.Parse(redisURL)
	if err != nil {
		return redisURL
	}
	u.Path = "/" + strconv.Itoa(n)
	return u.String()
}

// foreignKeys says in which dbs there are keys that no test run has claimed, or "".
func foreignKeys(ctx context.Context, registry *redis.Client) (string, error) {
	info, err := registry.InfoMap(ctx, "keyspace").Result()
	if err != nil {
		return "", fmt.Errorf("look which dbs are in use: %w", err)
	}
	var foreign []string
	for db, counts := range info["Keyspace"] {
		if db == "db0" {
			var ours, all int64
			var cursor uint64
			for {
				var keys []string
				keys, cursor, err = registry.Scan(ctx, cursor, claimPrefix+"*", 1000).Result()
				if err != nil {
					return "", err
				}
				if ours += int64(len(keys)); cursor == 0 {
					break
				}
			}
			if all, err = registry.DBSize(ctx).Result(); err != nil {
				return "", err
			}
			if all <= ours {
				continue
			}
		} else if n, err := registry.Exists(ctx, claimPrefix+strings.TrimPrefix(db, "db")).Result(); err != nil {
			return "", err
		} else if n == 1 {
			continue
		}
		foreign = append(foreign, db+": "+counts)
	}
	return strings.Join(foreign, " · "), nil
}

// release empties a claimed db, and only then gives it back.
func release(ctx context.Context, options *redis.Options, n int) error {
	mine, registry := *options, *options
	mine.DB, registry.DB = n, 0
	client := redis.NewClient(&mine)
	defer client.Close()
	if err := client.FlushDB(ctx).Err(); err != nil {
		return err
	}
	claims := redis.NewClient(&registry)
	defer claims.Close()
	return claims.Del(ctx, claim(n)).Err()
}

// releaseRedis releases all dbs that a session still holds.
func releaseRedis(ctx context.Context, url, session string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	options, err := redis.ParseURL(url)
	if err != nil {
		return errors.New("the Redis URL cannot be read")
	}
	options.DB, options.MaxRetries = 0, -1
	registry := redis.NewClient(options)
	defer registry.Close()
	keys, err := registry.Keys(ctx, claimPrefix+"*").Result()
	if err != nil {
		return err
	}
	for _, key := range keys {
		n, err := strconv.Atoi(strings.TrimPrefix(key, claimPrefix))
		if err != nil {
			continue // not a claim
		}
		if holder, err := registry.Get(ctx, key).Result(); err == nil && holder == session {
			if err := release(ctx, options, n); err != nil {
				return err
			}
		}
	}
	return nil
}
