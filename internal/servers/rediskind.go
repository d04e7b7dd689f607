package servers

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	redisImage  = image{server: "redis", version: "8.0", env: "TASHIKAME_REDIS_IMAGE"}
	valkeyImage = image{server: "valkey", from: "valkey/valkey", version: "9.1", env: "TASHIKAME_VALKEY_IMAGE"}
)

// RedisKind says which kind of server to start. The zero value is what OwnRedis starts.
type RedisKind struct {
	Flavour string      // "redis", the default, or "valkey"
	Version string      // "7.0" or "8.0"; of Valkey "8.1" or "9.1"; any other that can be pulled. "" is the default, or what the environment names
	TLS     bool        // nothing but TLS, with certificates made for this server
	Limits  RedisLimits // what a managed service does not allow
}

// String is the kind in words, good for a subtest's name: "valkey 9.1 TLS".
func (k RedisKind) String() string {
	words := []string{cmp.Or(k.Flavour, "redis")}
	if i, err := k.image(); err == nil {
		words = append(words, i.version)
	}
	if k.TLS {
		words = append(words, "TLS")
	}
	if k.Limits.Name != "" {
		words = append(words, "as", k.Limits.Name)
	}
	return strings.Join(words, " ")
}

func (k RedisKind) image() (image, error) {
	var i image
	switch k.Flavour {
	case "", "redis":
		i = redisImage
	case "valkey":
		i = valkeyImage
	default:
		return i, fmt.Errorf("there is no flavour %q of Redis here: redis or valkey", k.Flavour)
	}
	if k.Version != "" {
		i.version, i.env = k.Version, ""
	}
	return i, nil
}

// redisSetup is how a server of some kind is started, and how the harness talks to it.
type redisSetup struct {
	image    image
	args     []string
	files    map[string][]byte
	tls      *tls.Config
	operator string // the password of the harness's own user, which no limit binds; "" where there is none
}

// setup works out how to start a server, or a cluster's node, of this kind. Where it listens is left to who starts it.
func (k RedisKind) setup(ctx context.Context, cluster bool, args []string) (redisSetup, error) {
	i, err := k.image()
	if err != nil {
		return redisSetup{}, err
	}
	s := redisSetup{image: i}
	limits := k.Limits
	if cluster {
		limits = limits.ofCluster()
	}
	if cluster || len(limits.Denied) > 0 {
		s.operator = rand.Text()
		s.args = append(s.args, "--user", operatorName, "on", ">"+s.operator, "~*", "&*", "+@all")
	}
	limited, err := limits.args(args)
	if err != nil {
		return redisSetup{}, err
	}
	s.args = append(s.args, limited...)
	if k.TLS {
		if err := s.useTLS(ctx); err != nil {
			return redisSetup{}, fmt.Errorf("make certificates: %w", err)
		}
	}
	return s, nil
}

// listen are the arguments that make the server listen on a port.
func (s redisSetup) listen(port string) []string {
	if s.tls == nil {
		return []string{"--port", port}
	}
	return []string{"--port", "0", "--tls-port", port}
}

// operatorName is the harness's own user on servers that refuse something to everybody else.
const operatorName = "tashikame-harness"

// asOperator returns the options of a client that may do anything that the server knows.
func (s redisSetup) asOperator(addr string) *redis.Options {
	o := &redis.Options{Addr: addr, TLSConfig: s.tls}
	if s.operator != "" {
		o.Username, o.Password = operatorName, s.operator
	}
	return o
}

// ping reports whether a server answers at an address.
func (s redisSetup) ping(ctx context.Context, addr string) error {
	if s.tls != nil {
		// Docker's proxy lets anybody connect; go-redis would report at length that nobody shakes hands.
		conn, err := (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		conn.Close()
	}
	o := s.asOperator(addr)
	o.MaxRetries, o.DialerRetries, o.DialTimeout = -1, 1, dialTimeout
	client := redis.NewClient(o)
	defer client.Close()
	if err := client.Ping(ctx).Err(); !answers(err) {
		return err
	}
	return nil
}

// claims checks that the server has the version that its image claims. An image from the environment claims nothing.
func (s redisSetup) claims(ctx context.Context, addr string) error {
	if s.image.given() != "" {
		return nil
	}
	client := redis.NewClient(s.asOperator(addr))
	defer client.Close()
	info, err := client.InfoMap(ctx, "server").Result()
	switch {
	case err == nil:
	case answers(err) || unknown(err):
		return nil // it lets nobody look
	default:
		return err
	}
	if found := info["Server"][s.image.server+"_version"]; !strings.HasPrefix(found, s.image.version+".") {
		return fmt.Errorf("the image says %s %s, the server %q: remove the image (make clean-images)", s.image.server, s.image.version, found)
	}
	return nil
}

// OwnRedisOf is OwnRedis for a server of another kind:
//
//	valkey := servers.OwnRedisOf(t, servers.RedisKind{Flavour: "valkey", Version: "8.1", TLS: true})
//	managed := servers.OwnRedisOf(t, servers.RedisKind{Limits: servers.ElastiCache()})
func OwnRedisOf(tb TB, kind RedisKind, args ...string) *RedisServer {
	tb.Helper()
	return given(tb, "an own "+kind.String(), func(ctx context.Context) (*RedisServer, error) { return StartRedisOf(ctx, kind, args...) })
}

// StartRedisOf is OwnRedisOf for programs and Examples: close what it returns.
func StartRedisOf(ctx context.Context, kind RedisKind, args ...string) (*RedisServer, error) {
	setup, err := kind.setup(ctx, false, args)
	if err != nil {
		return nil, err
	}
	c, addr, err := runRedis(ctx, setup, true, args)
	if err != nil {
		return nil, err
	}
	s := &RedisServer{control: control{c, setup.ping}, Addr: addr, TLS: setup.tls, setup: setup, released: c.remove}
	s.URL = setup.scheme() + addr + "/0"
	s.Client = redis.NewClient(s.Options(0))
	return s, nil
}

func (s redisSetup) scheme() string {
	if s.tls != nil {
		return "rediss://"
	}
	return "redis://"
}

func runRedis(ctx context.Context, setup redisSetup, own bool, args []string) (*container, string, error) {
	c, addr, err := run(ctx, containerSpec{
		image: setup.image,
		port:  redisPort,
		args:  slices.Concat([]string{setup.image.server + "-server"}, setup.listen(redisPort), setup.args, args),
		files: setup.files,
		own:   own,
	}, setup.ping)
	if err != nil {
		return nil, "", err
	}
	if err := setup.claims(ctx, addr); err != nil {
		return nil, "", errors.Join(err, c.remove(ctx))
	}
	return c, addr, nil
}
