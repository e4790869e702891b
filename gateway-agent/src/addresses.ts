/** File in the data directory that says where a running agent is reached. */
export const addressesFile = 'addresses.json';
