// Package e2e tests in a browser what users see in one: the page of examples/joinserver,
// the status page, and the JavaScript module of roomhttp. It is a module of its own, so
// that its dependencies are not the library's, and has no code besides tests.
//
// They need Chromium, or Chrome, which runs headless. The example runs as a process of its
// own, as users run it; go test does not see when it changes, so run the tests with -count=1.
//
// What the pages looked like is in the directory screenshots afterwards, which is not part of
// the repository: look at the pictures after a change to a page. The pictures in docs/images
// are cut from them.
package e2e
