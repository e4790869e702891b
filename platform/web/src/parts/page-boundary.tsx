import { Component, type ReactNode } from 'react';

interface Properties {
  readonly children: ReactNode;
}

interface State {
  readonly failed: boolean;
}

/** A fault in a page leaves the frame standing and says what to do. */
export class PageBoundary extends Component<Properties, State> {
  override state: State = { failed: false };

  static getDerivedStateFromError(): State {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <div className="narrow">
        <h1>This page stumbled</h1>
        <p role="alert">Something in it could not be shown. Nothing is lost: load it again.</p>
        <p>
          <button type="button" onClick={() => location.reload()}>
            Load again
          </button>
        </p>
      </div>
    );
  }
}
