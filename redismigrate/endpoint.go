package redismigrate

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Endpoint says how to reach one store: a single Redis or Valkey server, or a cluster by one of its nodes (the others are found from
// there, and the job is about all of them), and which of its numbered databases (dbs) the job is about. It never prints a password: not as text, not as JSON, not in an error.
type Endpoint struct {
	// URL is a go-redis URL: redis://user:password@host:6379/0, rediss:// for TLS, unix:// for a socket; timeouts as parameters
	// (?dial_timeout=2s&read_timeout=60s). Either URL or Options is required, not both.
	URL string
	// Options are go-redis options, for what a URL cannot say (certificates, a credentials provider, a dialer). They are copied.
	// Retries, hooks into connection pools and maintenance hand-overs are switched off in the copy: a job must know which of its
	// commands were carried out, and by which server.
	Options *redis.Options
	// DBs are the dbs of the job. Empty means the one that URL or Options name, which is 0 when they name none.
	DBs []int
	// AllDBs means every db that holds keys when the job starts.
	AllDBs bool
}

// String names the endpoint by its address and dbs: "10.0.0.5:6379 (dbs 0, 2)".
func (e Endpoint) String() string {
	opts, err := e.options()
	if err != nil {
		return "invalid endpoint"
	}
	return opts.Addr + " (" + e.coverage(opts) + ")"
}

// GoString is String, so that %#v prints no password either.
func (e Endpoint) GoString() string { return "redismigrate.Endpoint{" + e.String() + "}" }

// LogValue is String, for slog.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalText is String, so that an endpoint in a JSON report shows no password.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Validate says what is wrong with the endpoint, or nil, without connecting. Jobs call it themselves.
func (e Endpoint) Validate() error {
	_, err := e.options()
	return err
}

// options returns an own copy of the go-redis options.
func (e Endpoint) options() (*redis.Options, error) {
	var opts redis.Options
	switch {
	case e.URL != "" && e.Options != nil:
		return nil, errors.New("the endpoint has both URL and Options; set one of them")
	case e.URL != "":
		parsed, err := redis.ParseURL(e.URL)
		if err != nil {
			// The parser's own error may quote the password.
			return nil, fmt.Errorf("the endpoint's URL cannot be read%s; expected redis://user:password@host:port/db, with special characters in the password percent-encoded", urlTrouble(e.URL))
		}
		opts = *parsed
	case e.Options != nil:
		opts = *e.Options
		if opts.Addr == "" && opts.Dialer == nil {
			return nil, errors.New(`the endpoint's Options have no Addr; set "host:port"`)
		}
	default:
		return nil, errors.New("the endpoint is empty; set URL or Options")
	}
	if e.AllDBs && len(e.DBs) > 0 {
		return nil, errors.New("the endpoint has both DBs and AllDBs; set one of them")
	}
	for i, db := range e.DBs {
		if db < 0 {
			return nil, fmt.Errorf("the endpoint's DBs[%d] is %d; dbs are numbered from 0", i, db)
		}
		if slices.Contains(e.DBs[:i], db) {
			return nil, fmt.Errorf("the endpoint's DBs name db %d twice", db)
		}
	}
	return &opts, nil
}

// urlTrouble names the part of a URL that is wrong, without quoting anything that could be a secret.
func urlTrouble(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return ""
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return " (its scheme is none of redis, rediss, unix)"
	case strings.Trim(u.Path, "/0123456789") != "":
		return " (the part after the address is not a db number)"
	}
	return " (a parameter is wrong)"
}

func (e Endpoint) clone() Endpoint {
	e.DBs = slices.Clone(e.DBs)
	if e.Options != nil {
		o := *e.Options
		e.Options = &o
	}
	return e
}

// coverage says in words which dbs the endpoint is about; two endpoints are about the same dbs when their words are equal.
func (e Endpoint) coverage(opts *redis.Options) string {
	if e.AllDBs {
		return "all dbs"
	}
	return dbsInWords(slices.Sorted(slices.Values(e.listed(opts))))
}

func dbsInWords(dbs []int) string {
	if len(dbs) == 1 {
		return fmt.Sprintf("db %d", dbs[0])
	}
	return "dbs " + joinInts(dbs)
}

// listed are the dbs that the endpoint names, whatever they hold.
func (e Endpoint) listed(opts *redis.Options) []int {
	if len(e.DBs) > 0 {
		return e.DBs
	}
	return []int{opts.DB}
}

func joinInts(ns []int) string {
	var b strings.Builder
	for i, n := range ns {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n)
	}
	return b.String()
}
