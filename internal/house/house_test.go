// Package house holds the tests that keep the repository as its design says: light packages, a small top level.
package house

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tashikame-go/tashikame"

// allowed lists what each importable package may pull in beyond the standard library and itself. A user who imports
// consistency for its SQL checks must not compile Redis, Slack, Prometheus, a SQL parser or Docker.
var allowed = map[string][]string{
	"consistency":                 {},
	"consistency/consistencytest": {module + "/consistency"},
	"consistency/metrics": {
		module + "/consistency", "github.com/prometheus", "github.com/beorn7/perks", "github.com/cespare/xxhash/v2", "github.com/munnerz/goautoneg", // the client and its own
		"google.golang.org/protobuf", "golang.org/x/sys",
	},
	"consistency/slack": {
		module + "/consistency",
		"github.com/slack-go/slack", "github.com/gorilla/websocket", // the client and its own
	},
	"consistency/statuspage": {module + "/consistency"},
	"consistency/webhook":    {module + "/consistency"},
	"explainguard": {
		"github.com/go-sql-driver/mysql", "filippo.io/edwards25519", // the driver and its own
		"github.com/sqlc-dev/marino", "golang.org/x/text", // the parser and its own
		"github.com/valyala/fastjson", "github.com/rogpeppe/go-internal/diff",
	},
	"redismigrate": {
		"github.com/redis/go-redis/v9", "github.com/cespare/xxhash/v2", "go.uber.org/atomic", "golang.org/x/sys", // the client and its own
	},
}

// list runs go list without the flags of the surrounding `go test`.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(cmd.Environ(), "GOFLAGS=")
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

func TestPackagesAreLight(t *testing.T) {
	for pkg, modules := range allowed {
		t.Run(pkg, func(t *testing.T) {
			for _, dep := range list(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", module+"/"+pkg) {
				require.True(t, isAllowed(dep, pkg, modules), "%s pulls in %s; move what needs it to a package of its own", pkg, dep)
			}
		})
	}
}

func isAllowed(dep, pkg string, modules []string) bool {
	for _, m := range append([]string{module + "/" + pkg, module + "/internal"}, modules...) {
		if dep == m || strings.HasPrefix(dep, m+"/") {
			return dep != module+"/internal/servers"
		}
	}
	return false
}

func TestEveryImportablePackageIsOnTheList(t *testing.T) {
	for _, path := range list(t, "./...") {
		name := strings.TrimPrefix(path, module+"/")
		if strings.Contains("/"+name, "/internal/") || strings.Contains(name, "/cmd/") {
			continue
		}
		require.Contains(t, allowed, name, "say here what %s may pull in", name)
	}
}

func TestTopLevelHoldsOnlyTheHouse(t *testing.T) {
	cmd := exec.Command("git", "ls-files")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	require.NoError(t, err)
	house := regexp.MustCompile(`^(consistency|explainguard|redismigrate|examples|internal|go\.mod|go\.sum|README\.md|Makefile|LICENSE|CHANGELOG\.md|CONTRIBUTING\.md|\..*)$`)
	for _, file := range strings.Fields(string(out)) {
		top, _, _ := strings.Cut(file, "/")
		require.Regexp(t, house, top)
	}
}
