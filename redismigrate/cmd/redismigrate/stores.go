package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/redismigrate"
)

// stores are the flags that say which keys of which stores a command is about.
type stores struct {
	flags            *flag.FlagSet
	dbs, dbMap       string
	allDBs           bool
	id               string
	include, exclude list
	sourceCA         string
	targetCA         string
	asJSON           bool
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

// Set adds a value.
func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}

func newFlags(c *console, name, about string) *stores {
	s := &stores{flags: flag.NewFlagSet(name, flag.ContinueOnError)}
	s.flags.SetOutput(c.err)
	s.flags.Usage = func() {
		fmt.Fprintf(c.err, "redismigrate %s: %s\n\nflags:\n", name, about)
		s.flags.PrintDefaults()
	}
	s.flags.BoolVar(&s.asJSON, "json", false, "write the result as JSON")
	return s
}

// withSelector adds the flags of a selector.
func (s *stores) withSelector() *stores {
	s.flags.Var(&s.include, "include", "glob `pattern` of keys to select, as in SCAN MATCH; may be given several times")
	s.flags.Var(&s.exclude, "exclude", "glob `pattern` of keys to leave out again; may be given several times")
	s.flags.StringVar(&s.id, "id", "", "`name` of the selection, for plans and results")
	return s
}

// withDBs adds the flags of dbs and certificates.
func (s *stores) withDBs() *stores {
	s.flags.StringVar(&s.dbs, "dbs", "", "`numbers` of the dbs, with commas (default: the one that the URL names)")
	s.flags.BoolVar(&s.allDBs, "all-dbs", false, "every db that holds keys")
	s.flags.StringVar(&s.sourceCA, "source-ca", "", "`file` with the certificate authority of the source, in PEM (default: the system's)")
	s.flags.StringVar(&s.targetCA, "target-ca", "", "`file` with the certificate authority of the target, in PEM (default: the system's)")
	return s
}

func (s *stores) withDBMap() *stores {
	s.flags.StringVar(&s.dbMap, "db-map", "", "`source:target` pairs with commas: keys of db source go to db target, 2:0,3:0")
	return s
}

// parse reads the flags, and refuses more arguments than wanted.
func (s *stores) parse(args []string, positional int) error {
	switch err := s.flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return usageError{errors.New("see the flags above")}
	}
	if s.flags.NArg() != positional {
		return usageError{fmt.Errorf("%d arguments are given, %d are wanted: %q", s.flags.NArg(), positional, s.flags.Args())}
	}
	return nil
}

func (s *stores) selector() redismigrate.Selector {
	return redismigrate.Selector{ID: s.id, Include: s.include, Exclude: s.exclude}
}

// source and target are the endpoints that the environment names.
func (s *stores) source() (*redismigrate.Endpoint, error) {
	return s.endpoint("REDISMIGRATE_SOURCE", s.sourceCA, s.dbs)
}

func (s *stores) target() (*redismigrate.Endpoint, error) {
	dbs := s.dbs
	if s.dbMap != "" && dbs != "" {
		pairs, err := s.mapping()
		if err != nil {
			return nil, err
		}
		list, err := numbers(dbs)
		if err != nil {
			return nil, err
		}
		dbs = mapped(list, pairs)
	}
	return s.endpoint("REDISMIGRATE_TARGET", s.targetCA, dbs)
}

// endpoint reads one store from an environment variable.
func (s *stores) endpoint(variable, ca, dbs string) (*redismigrate.Endpoint, error) {
	url := os.Getenv(variable)
	if url == "" {
		return nil, usageError{fmt.Errorf("%s is not set; set it to redis://user:password@host:port/db", variable)}
	}
	e := &redismigrate.Endpoint{URL: url, AllDBs: s.allDBs}
	var err error
	if e.DBs, err = numbers(dbs); err != nil {
		return nil, err
	}
	if ca != "" {
		options, err := redis.ParseURL(url)
		if err != nil || options.TLSConfig == nil {
			return nil, usageError{fmt.Errorf("a certificate authority is given for %s, whose URL is not a rediss:// one", variable)}
		}
		pool, err := readCA(ca)
		if err != nil {
			return nil, err
		}
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: options.TLSConfig.ServerName}
		e.URL, e.Options = "", options
	}
	if err := e.Validate(); err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", variable, err)}
	}
	return e, nil
}

func readCA(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, usageError{err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usageError{fmt.Errorf("%s holds no certificate in PEM", file)}
	}
	return pool, nil
}

// mapping reads -db-map.
func (s *stores) mapping() (map[int]int, error) {
	if s.dbMap == "" {
		return nil, nil
	}
	out := map[int]int{}
	for _, pair := range strings.Split(s.dbMap, ",") {
		a, b, ok := strings.Cut(strings.TrimSpace(pair), ":")
		from, err1 := strconv.Atoi(a)
		to, err2 := strconv.Atoi(b)
		if _, twice := out[from]; !ok || err1 != nil || err2 != nil || twice {
			return nil, usageError{fmt.Errorf("-db-map has %q; wanted are pairs like 2:0,3:0, each source db once", pair)}
		}
		out[from] = to
	}
	return out, nil
}

// numbers reads -dbs.
func numbers(dbs string) ([]int, error) {
	var out []int
	for _, text := range strings.FieldsFunc(dbs, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return nil, usageError{fmt.Errorf("-dbs has %q, which is not a number", text)}
		}
		out = append(out, n)
	}
	return out, nil
}

// mapped are the target's dbs for a list of the source's, with commas.
func mapped(dbs []int, pairs map[int]int) string {
	var out []string
	for _, n := range dbs {
		if to, ok := pairs[n]; ok {
			n = to
		}
		if text := strconv.Itoa(n); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ",")
}

// move is the whole job.
func (s *stores) move() (m redismigrate.Move, err error) {
	m.Keys = s.selector()
	if err := m.Keys.Validate(); err != nil {
		return m, usageError{fmt.Errorf("%w (-include, -exclude)", err)}
	}
	if m.From, err = s.source(); err != nil {
		return m, err
	}
	if m.To, err = s.target(); err != nil {
		return m, err
	}
	m.DBMap, err = s.mapping()
	return m, err
}

// files opens an input and creates an output that must not exist yet.
func files(in, out string) (io.ReadCloser, *os.File, error) {
	r, err := os.Open(in)
	if err != nil {
		return nil, nil, usageError{err}
	}
	w, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		r.Close()
		return nil, nil, usageError{fmt.Errorf("%w; name a file that does not exist yet", err)}
	}
	return r, w, nil
}
