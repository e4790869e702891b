import { installControlPlane } from './kube-install.ts';
import { kubeTools } from './kube-tools.ts';

/** Before the first suite that needs them: building takes longer than a test may. */
export async function setup(): Promise<void> {
  await installControlPlane();
  await kubeTools();
}
