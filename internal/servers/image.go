package servers

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

//go:embed images
var imageRecipes embed.FS

// image names where a server's image comes from.
type image struct {
	server  string // the name that a person knows, and the recipe's name: "mysql"
	from    string // the official repository, where it is not called as the server
	version string // "9.7": the official tag, and what the local build must state
	env     string // the environment variable that overrides it; "" where a test names the version
}

func (i image) official() string { return cmp.Or(i.from, i.server) + ":" + i.version }
func (i image) local() string    { return "tashikame-local/" + i.server + ":" + i.version }

// given is the image that the environment names, or "".
func (i image) given() string {
	if i.env == "" {
		return ""
	}
	return os.Getenv(i.env)
}

const (
	pullTimeout  = 5 * time.Minute
	buildTimeout = 8 * time.Minute
)

// ensure returns the name of an image that is present: the configured one, the official one (pulled when it can be),
// or our own build of it.
func (i image) ensure(ctx context.Context) (string, error) {
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return "", err
	}
	defer docker.Close()
	present := func(name string) bool {
		_, err := docker.ImageInspect(ctx, name)
		return err == nil
	}
	if name := i.given(); name != "" {
		if present(name) {
			return name, nil
		}
		if err := pull(ctx, docker, name); err != nil {
			return "", fmt.Errorf("the image %q of %s is not here and cannot be pulled: %w", name, i.env, err)
		}
		return name, nil
	}
	for _, name := range []string{i.official(), i.local()} {
		if present(name) {
			return name, nil
		}
	}
	pullErr := pull(ctx, docker, i.official())
	if pullErr == nil {
		return i.official(), nil
	}
	fmt.Fprintf(os.Stderr, "tashikame: %s cannot be pulled; building %s from Debian packages, once: this takes about a minute\n", i.official(), i.local())
	if err := i.build(ctx); err != nil {
		way := fmt.Errorf("load one with docker load, or give one that is here this name with docker tag")
		if i.env != "" {
			way = fmt.Errorf("name an image that you can pull in %s, or load one with docker load", i.env)
		}
		return "", errors.Join(
			fmt.Errorf("the image %s cannot be pulled: %w", i.official(), pullErr),
			fmt.Errorf("and its local equivalent cannot be built: %w", err),
			way)
	}
	return i.local(), nil
}

func pull(ctx context.Context, docker *testcontainers.DockerClient, name string) error {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	progress, err := docker.ImagePull(ctx, name, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer progress.Close()
	return progress.Wait(ctx)
}

// build runs the image script from a copy of its embedded files, so that it works from any folder.
func (i image) build(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "tashikame-images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	recipes, err := fs.Sub(imageRecipes, "images")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, recipes); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(dir, "build.sh"), i.server, i.version)
	cmd.WaitDelay = 5 * time.Second
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build.sh %s %s: %w\n%s", i.server, i.version, err, tail(said.String(), 15))
	}
	return nil
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
