/** `make kube-tools`: builds and fetches what Kubernetes suites need, and says where it is. */
import { installControlPlane } from './kube-install.ts';
import { kubeTools } from './kube-tools.ts';

const controlPlane = await installControlPlane();
process.stdout.write(`${JSON.stringify({ controlPlane, ...(await kubeTools()) }, undefined, 2)}\n`);
