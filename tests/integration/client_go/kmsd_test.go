// SPDX-License-Identifier: Apache-2.0
// Starts the real kmsd for Vault's own Go client, and shortens what every test says.
package client_go

import (
	"bufio"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

var program = flag.String("kmsd", "", "path of kmsd")
var client *api.Client

type fields = map[string]interface{}

// run returns the tests' exit status; kmsd must end well too.
func run(m *testing.M) (int, error) {
	state, err := os.MkdirTemp("", "kms-go-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(state)
	state = filepath.Join(state, "state")
	kmsd := exec.Command(*program, "dev", "--listen", "127.0.0.1:0", "--state-dir", state)
	output, err := kmsd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := kmsd.Start(); err != nil {
		return 1, err
	}
	address, lines, err := awaitAddress(bufio.NewScanner(output))
	if err == nil {
		err = connect(address, filepath.Join(state, "root-token"))
	}
	status := 1
	if err == nil {
		status = m.Run()
	}
	kmsd.Process.Signal(syscall.SIGTERM)
	for lines.Scan() {
	}
	if ended := kmsd.Wait(); ended != nil {
		return 1, ended
	}
	return status, err
}

func awaitAddress(lines *bufio.Scanner) (string, *bufio.Scanner, error) {
	pattern := regexp.MustCompile(`listening on (http://127\.0\.0\.1:\d+)`)
	for lines.Scan() {
		if found := pattern.FindStringSubmatch(lines.Text()); found != nil {
			return found[1], lines, nil
		}
	}
	return "", lines, errors.New("kmsd ended before it listened")
}

func connect(address, tokenFile string) error {
	config := api.DefaultConfig()
	config.Address = address
	config.MaxRetries = 0
	config.Timeout = 2 * time.Minute // the first wrapping key of an environment takes its time
	var err error
	if client, err = api.NewClient(config); err != nil {
		return err
	}
	token, err := os.ReadFile(tokenFile)
	client.SetToken(strings.TrimSpace(string(token)))
	return err
}

func TestMain(m *testing.M) {
	flag.Parse()
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func b64(text string) string {
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// write, read and list work below the environment dev and end the test on an error.
func write(t *testing.T, path string, body fields) fields {
	t.Helper()
	secret, err := client.Logical().Write("dev/"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if secret == nil {
		return nil
	}
	return secret.Data
}

func read(t *testing.T, path string) fields {
	t.Helper()
	secret, err := client.Logical().Read("dev/" + path)
	if err != nil {
		t.Fatal(err)
	}
	if secret == nil {
		t.Fatalf("nothing at %s", path)
	}
	return secret.Data
}

func results(t *testing.T, data fields) []fields {
	t.Helper()
	list, ok := data["batch_results"].([]interface{})
	if !ok {
		t.Fatalf("no batch_results in %v", data)
	}
	items := make([]fields, len(list))
	for i, item := range list {
		items[i] = item.(fields)
	}
	return items
}

// refused wants the status and, within the errors, the text.
func refused(t *testing.T, path string, body fields, status int, text string) {
	t.Helper()
	_, err := client.Logical().Write("dev/"+path, body)
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		t.Fatalf("%s was not refused: %v", path, err)
	}
	if answer.StatusCode != status || !strings.Contains(strings.Join(answer.Errors, "\n"), text) {
		t.Fatalf("%s: %d %q", path, answer.StatusCode, answer.Errors)
	}
}

func equal(t *testing.T, got, want interface{}) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v is not %v", got, want)
	}
}

func hasPrefix(t *testing.T, text interface{}, prefix string) {
	t.Helper()
	if !strings.HasPrefix(fmt.Sprint(text), prefix) {
		t.Errorf("%v does not begin with %s", text, prefix)
	}
}
