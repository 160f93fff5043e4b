// Golog checks logs, proofs and cosignatures with the code of others alone: Go's sumdb/note and sumdb/tlog, and torchwood.
//
// Each command reads what Lamplighter wrote, and prints what it shows; it ends with 1 and the reason when it shows nothing.
// Every key that is given has to have signed.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const usage = `golog checkpoint    -key VKEY... FILE               print origin, size and root
golog entry         -key VKEY... ENTRY.json PROOF   show that an entry with its salt is in the log of its proof
golog consistency   -key VKEY... OLD NEW PROOF      show that the log of one checkpoint continues that of another
golog tiles         -key VKEY... FOLDER             print the leaves, each proven from the tiles below a checkpoint
`

// keys are the verifier keys that are given: of notes, and of cosignatures of witnesses.
type keys []string

func (k *keys) String() string     { return strings.Join(*k, " ") }
func (k *keys) Set(s string) error { *k = append(*k, s); return nil }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	var given keys
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.Var(&given, "key", "verifier key, NAME+ID+KEY; may be given again")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	names := flags.Args()
	switch {
	case args[0] == "checkpoint" && len(names) == 1:
		return checkpoint(given, names[0])
	case args[0] == "entry" && len(names) == 2:
		return entry(given, names[0], names[1])
	case args[0] == "consistency" && len(names) == 3:
		return consistency(given, names[0], names[1], names[2])
	case args[0] == "tiles" && len(names) == 1:
		return tiles(given, names[0])
	}
	return errors.New(usage)
}

// open returns the checkpoint in a signed note, once every key has signed it.
func open(signed []byte, given keys) (torchwood.Checkpoint, error) {
	var none torchwood.Checkpoint
	var verifiers []note.Verifier
	for _, key := range given {
		verifier, err := verifierOf(key)
		if err != nil {
			return none, fmt.Errorf("%s: %w", key, err)
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		return none, err
	}
	if len(opened.Sigs) != len(given) {
		return none, fmt.Errorf("%d of %d keys signed", len(opened.Sigs), len(given))
	}
	return torchwood.ParseCheckpoint(opened.Text)
}

// public is the half of a signer that verifies: torchwood v0.6.1 makes a verifier of cosignatures from a signer alone.
type public ed25519.PublicKey

func (p public) Public() crypto.PublicKey { return ed25519.PublicKey(p) }

func (public) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("there is no private key")
}

// verifierOf takes keys of notes (kind 1) and of cosignatures (kind 4).
func verifierOf(key string) (note.Verifier, error) {
	parts := strings.SplitN(key, "+", 3) // base64 has plus signs too
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != 4 {
		return note.NewVerifier(key)
	}
	signer, err := torchwood.NewCosignatureSigner(parts[0], public(raw[1:]))
	if err != nil {
		return nil, err
	}
	if signer.Verifier().String() != key {
		return nil, errors.New("the id is not that of the key")
	}
	return signer.Verifier(), nil
}

func checkpoint(given keys, name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	head, err := open(data, given)
	if err != nil {
		return err
	}
	fmt.Printf("%s %d %x\n", head.Origin, head.N, head.Hash[:])
	return nil
}

// shown is an entry as Lamplighter hands it over: the leaf is of its salt and its text.
type shown struct {
	Index int64
	Salt  string
	Text  string
}

func entry(given keys, name, proofName string) error {
	var said shown
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &said); err != nil {
		return err
	}
	salt, err := hex.DecodeString(said.Salt)
	if err != nil {
		return err
	}
	whole, err := os.ReadFile(proofName)
	if err != nil {
		return err
	}
	// C2SP tlog-proof: header, "index N", hashes, an empty line, the checkpoint.
	above, signed, ok := bytes.Cut(whole, []byte("\n\n"))
	lines := strings.Split(string(above), "\n")
	if !ok || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("this is no tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	if index != said.Index {
		return fmt.Errorf("the proof is of entry %d, wanted %d", index, said.Index)
	}
	hashes, err := hashesOf(lines[2:])
	if err != nil {
		return err
	}
	head, err := open(signed, given)
	if err != nil {
		return err
	}
	leaf := tlog.RecordHash(append(salt, said.Text...))
	if err := tlog.CheckRecord(hashes, head.N, head.Hash, index, leaf); err != nil {
		return err
	}
	fmt.Printf("%s %d %x\n", head.Origin, index, sha256.Sum256([]byte(said.Text)))
	return nil
}

func consistency(given keys, oldName, newName, proofName string) error {
	var heads [2]torchwood.Checkpoint
	for at, name := range []string{oldName, newName} {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if heads[at], err = open(data, given); err != nil {
			return err
		}
	}
	file, err := os.Open(proofName)
	if err != nil {
		return err
	}
	defer file.Close()
	var lines []string
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	hashes, err := hashesOf(lines)
	if err != nil {
		return err
	}
	if heads[0].Origin != heads[1].Origin {
		return fmt.Errorf("the checkpoints are of two logs: %s and %s", heads[0].Origin, heads[1].Origin)
	}
	if err := tlog.CheckTree(hashes, heads[1].N, heads[1].Hash, heads[0].N, heads[0].Hash); err != nil {
		return err
	}
	fmt.Printf("%s %d %d\n", heads[0].Origin, heads[0].N, heads[1].N)
	return nil
}

func hashesOf(lines []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// folder reads the tiles of a log that lies in a folder as C2SP tlog-tiles has it.
type folder string

func (f folder) ReadTiles(_ context.Context, wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		data, err := os.ReadFile(filepath.Join(string(f), torchwood.TilePath(tile)))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadEndpoint(_ context.Context, path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(f), path))
}

func tiles(given keys, name string) error {
	data, err := os.ReadFile(filepath.Join(name, "checkpoint"))
	if err != nil {
		return err
	}
	head, err := open(data, given)
	if err != nil {
		return err
	}
	// It refuses every tile that does not follow from the root.
	reader := torchwood.TileHashReaderWithContext(context.Background(), head.Tree, folder(name))
	for index := range head.N {
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(head.N, index, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, head.N, head.Hash, index, leaf[0]); err != nil {
			return err
		}
		fmt.Printf("%x\n", leaf[0][:])
	}
	return nil
}
