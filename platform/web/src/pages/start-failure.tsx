/** Shown when the page cannot learn where its cells are. */
export function StartFailure() {
  return (
    <main className="start-failure">
      <h1>Domicile cannot start</h1>
      <p>The list of cells could not be read. Check your network, then load the page again.</p>
      <button type="button" onClick={() => location.reload()}>
        Load again
      </button>
    </main>
  );
}
