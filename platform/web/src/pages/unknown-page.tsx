import { Link } from '../parts/link.tsx';
import { useTitle } from '../use-title.ts';

export function UnknownPage() {
  useTitle('Not found');
  return (
    <div className="narrow">
      <h1>There is nothing at this address</h1>
      <p>
        Go to <Link to="/">your buildings</Link> and choose one there.
      </p>
    </div>
  );
}
