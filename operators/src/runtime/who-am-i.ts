import { z } from 'zod';
import type { KubeHttp } from './kube-http.ts';

const reviewSchema = z.object({
  status: z.object({ userInfo: z.object({ username: z.string() }) }),
});

/** The name by which the API server knows us. Anyone may ask. */
export async function whoAmI(http: KubeHttp, signal?: AbortSignal): Promise<string> {
  const answer = await http.call({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    signal,
    doing: 'ask who we are',
  });
  return reviewSchema.parse(answer).status.userInfo.username;
}
