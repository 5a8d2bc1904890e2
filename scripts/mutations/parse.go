package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mutation is one way to break the library: from is replaced by to.
type mutation struct {
	title string // "5: a rate limit holds nothing"
	from  string
	to    string
}

// parse reads the list of mutations. A title follows "# "; below it stand the line
// "<<<<", the text to be replaced, "====", the text in its place, and ">>>>".
// Text before the first title is a comment.
func parse(text string) ([]mutation, error) {
	var all []mutation
	_, text, _ = strings.Cut("\n"+text, "\n# ")
	for block := range strings.SplitSeq(text, "\n# ") {
		title, rest, _ := strings.Cut(block, "\n")
		_, rest, begun := strings.Cut(rest, "<<<<\n")
		from, rest, divided := strings.Cut(rest, "====\n")
		to, _, ended := strings.Cut(rest, ">>>>")
		if !begun || !divided || !ended {
			return nil, fmt.Errorf("mutation %q has no <<<<, ==== or >>>>", title)
		}
		if from == "" || from == to {
			return nil, fmt.Errorf("mutation %q changes nothing", title)
		}
		all = append(all, mutation{title: title, from: from, to: to})
	}
	return all, nil
}

// find returns the one Go file of the library, below dir, that contains text once,
// and the file's content.
func find(dir, text string) (path string, content []byte, err error) {
	files, err := library(dir)
	if err != nil {
		return "", nil, err
	}
	places := 0
	for _, file := range files {
		whole, err := os.ReadFile(file)
		if err != nil {
			return "", nil, err
		}
		if n := bytes.Count(whole, []byte(text)); n > 0 {
			places += n
			path, content = file, whole
		}
	}
	if places != 1 {
		return "", nil, fmt.Errorf("the text to be replaced occurs %d times, want once", places)
	}
	return path, content, nil
}

// library returns the Go files that a mutation may break: those of the root package, of
// internal/, and the store in memory, without the tests.
func library(dir string) ([]string, error) {
	var files []string
	for _, pattern := range []string{"*.go", "internal/*/*.go", "roomtokentest/store*.go"} {
		matches, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			return nil, err
		}
		for _, file := range matches {
			if !strings.HasSuffix(file, "_test.go") {
				files = append(files, file)
			}
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no Go files in " + dir)
	}
	return files, nil
}
